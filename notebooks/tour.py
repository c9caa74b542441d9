# %% [markdown]
# # A tour of the tables, for analysts
#
# The tables are Delta tables: pandas reads them through `deltalake`, without Spark. Each cell
# (`# %%`) runs by itself in VS Code, PyCharm, Spyder or Jupyter with jupytext; the whole file is
# also a script. After `make demo`:
#
# ```sh
# python notebooks/tour.py demo/retail/warehouse
# ```

# %%
from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pandas as pd
from deltalake import DeltaTable

given = [part for part in sys.argv[1:] if Path(part).is_dir()]
STORE = Path(given[0] if given else "demo/retail/warehouse")


def newest(table: str) -> pd.DataFrame:
    """A table's rows of the newest snapshot date."""
    dates = DeltaTable(str(STORE / "customer_segments")).partitions()
    day = date.fromisoformat(max(str(part["snapshot_date"]) for part in dates))
    return DeltaTable(str(STORE / table)).to_pandas(filters=[("snapshot_date", "=", day)])


customers = newest("customer_segments")
profiles = newest("segment_profiles")
print(f"{len(customers):,} customers as of {customers['snapshot_date'].iloc[0]}")

# %% [markdown]
# ## 1. Who are our best customers, and what do they bring?
#
# `segment_profiles` has the answer: segments by rank (1 = best), for rule segments (`rfm`) and for
# clusters.

# %%
rule_segments = profiles[profiles["kind"] == "rfm"].sort_values("rank")
best = rule_segments.iloc[0]
print(
    f"{best['segment']}: {best['customers']:,} customers ({best['share']:.1%}) bring "
    f"{best['revenue']:,} ({best['revenue_share']:.1%} of revenue)"
)
print(
    rule_segments[
        ["segment", "customers", "revenue", "revenue_share", "marketing_action"]
    ].to_string(index=False)
)

# %% [markdown]
# ## 2. Who was good, and is slipping away?
#
# Scores say it for each customer: long not seen (`r_score` at most 2), but often there or big
# (`f_score` or `m_score` at least 4). `customer_segments` has one row per customer.

# %%
is_away = customers["r_score"] <= 2
was_good = (customers["f_score"] >= 4) | (customers["m_score"] >= 4)
slipping = customers[is_away & was_good].sort_values("monetary", ascending=False)
print(
    f"slipping away: {len(slipping):,} customers, who brought {slipping['monetary'].sum():,}; "
    f"typically {slipping['recency_days'].median():.0f} days since their last purchase"
)
print(slipping["rfm_segment"].value_counts().to_string())

# %% [markdown]
# ## 3. Do rules and clusters agree?
#
# Clusters are found in the data, rule segments are defined. A table of both shows where a cluster
# cuts through a segment.

# %%
both = pd.crosstab(customers["rfm_segment"], customers["cluster_segment"])
order = [name for name in rule_segments["segment"] if name in both.index]
print(both.loc[order].to_string())
share = both.max(axis=1).sum() / len(customers)
print(f"{share:.0%} of the customers are in their rule segment's most frequent cluster")
