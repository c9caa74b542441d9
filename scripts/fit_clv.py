"""Feed a `btyd` export to a lifetime model: who is still a customer, and will buy how often?

    python scripts/fit_clv.py out/snapshot_date=2018-01-01 --periods 26 --out lifetime.parquet

Fits the BG/NBD model of Fader, Hardie and Lee (2005) with pymc-marketing (extra `clv`), and needs
no Spark. Periods are in the unit of the export, days or weeks. Money is not modelled here:
GammaGammaModel of the same package takes the same columns, of the customers with a frequency and a
monetary_value above 0.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import pandas as pd

COLUMNS = ["customer_id", "frequency", "recency", "T"]


def read_summary(folder: Path) -> pd.DataFrame:
    """The files of one date of an export, Parquet or CSV."""
    files = sorted(folder.glob("*.parquet")) or sorted(folder.glob("*.csv"))
    if not files:
        sys.exit(
            f"{folder} holds neither Parquet nor CSV files; write them with `rfm-spark export`"
        )
    read = pd.read_parquet if files[0].suffix == ".parquet" else pd.read_csv
    return pd.concat([read(file) for file in files], ignore_index=True)


def lifetime(summary: pd.DataFrame, periods: float) -> tuple[pd.Series, pd.DataFrame]:
    """Fitted parameters, and each customer's probability alive and expected purchases.

    Args:
        summary: One row per customer: customer_id, frequency, recency, T.
        periods: How far to look ahead, in the unit of recency and T.
    """
    from pymc_marketing import clv  # noqa: PLC0415

    data = summary[COLUMNS].sort_values("customer_id", ignore_index=True)
    model = clv.BetaGeoModel(data=data)
    model.fit(method="map", progressbar=False)
    found = data.assign(
        probability_alive=model.expected_probability_alive(data=data).values.ravel(),
        expected_purchases=model.expected_purchases(data=data, future_t=periods).values.ravel(),
    )
    return model.fit_summary(), found


def main() -> None:
    """Fit, say what came out, write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of one date of a btyd export")
    parser.add_argument("--periods", type=float, default=26, help="to look ahead (default: 26)")
    parser.add_argument("--out", type=Path, help="Parquet file for the customers")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="(arviz|pytensor)")
    parameters, customers = lifetime(read_summary(options.folder), options.periods)
    listed = ", ".join(
        f"{name} = {float(parameters[name]):.3f}" for name in ("r", "alpha", "a", "b")
    )
    alive = customers["probability_alive"]
    print(f"{len(customers):,} customers; BG/NBD {listed}")
    print(f"still customers: {alive.sum():,.0f} expected, {(alive < 0.5).sum():,} rather not")
    print(f"in the next {options.periods:g} periods: {customers['expected_purchases'].sum():,.0f}")
    best = customers.nlargest(5, "expected_purchases")
    print(best.to_string(index=False, float_format="{:.2f}".format))
    if options.out is not None:
        customers.to_parquet(options.out, index=False)
        print(f"written to {options.out}")


if __name__ == "__main__":
    main()
