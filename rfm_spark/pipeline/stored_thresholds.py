"""Score edges that were cut before: which are in force, and which are asked for by name."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark.config.naming import digest
from rfm_spark.errors import ModelError
from rfm_spark.pipeline.context import Context
from rfm_spark.schemas import SCORE_THRESHOLDS
from rfm_spark.scoring.thresholds import Thresholds, thresholds_from


def stored_thresholds(context: Context, *, snapshot_date: date) -> Thresholds | None:
    """The edges with the largest snapshot date up to this one; None where there are none.

    Raises:
        ModelError: They were cut with other roles, bins or methods than the configuration has.
    """
    known = _known(context, snapshot_date)
    if known is None:
        return None
    what = ("edges in force", snapshot_date)
    of_date = context.once(SCORE_THRESHOLDS.name, what, lambda: _of_newest_date(known))
    if not of_date:
        return None
    wanted = context.settings.scoring.edges_hash
    alike = [thresholds for thresholds in of_date if thresholds.scoring_hash == wanted]
    if not alike:
        raise ModelError(
            f"the score edges in force at {snapshot_date} ({of_date[0].version}) were cut with "
            "other scoring.roles, bins or method than the configuration has now; go back to those, "
            f"or cut new ones with `rfm-spark run --snapshot-date {snapshot_date} --retrain`"
        )
    use = use_hash(context)
    return next((thresholds for thresholds in alike if thresholds.use_hash == use), alike[0])


def newest_alike(context: Context, snapshot_date: date) -> Thresholds | None:
    """The newest edges with the same settings, rule map and weights."""
    known = _known(context, snapshot_date)
    if known is None:
        return None
    hashes = context.settings.scoring.edges_hash, use_hash(context)
    alike = known.where((F.col("scoring_hash") == hashes[0]) & (F.col("use_hash") == hashes[1]))
    return next(iter(_of_newest_date(alike)), None)


def stored_version(context: Context, version: str) -> Thresholds:
    """The stored edges that ``scoring.thresholds_version`` names."""
    table = context.read_or_none(SCORE_THRESHOLDS.name)
    rows = []
    if table is not None:
        rows = table.where(F.col("thresholds_version") == version).collect()
    if not rows:
        versions = []
        if table is not None:
            newest = table.select("snapshot_date", "thresholds_version").distinct()
            newest = newest.orderBy(F.desc("snapshot_date"), "thresholds_version").limit(5)
            versions = [row["thresholds_version"] for row in newest.collect()]
        raise ModelError(
            f"scoring.thresholds_version: score_thresholds has no version {version!r}; the newest "
            f"there are: {', '.join(versions) or 'none yet'}"
        )
    return thresholds_from(rows)


def _known(context: Context, snapshot_date: date) -> DataFrame | None:
    table = context.read_or_none(SCORE_THRESHOLDS.name)
    return None if table is None else table.where(F.col("snapshot_date") <= F.lit(snapshot_date))


def _of_newest_date(known: DataFrame) -> list[Thresholds]:
    """The versions of the newest date, in order of their names."""
    newest = known.agg(F.max("snapshot_date")).collect()[0][0]
    if newest is None:
        return []
    rows = known.where(F.col("snapshot_date") == F.lit(newest)).collect()
    versions = sorted({row["thresholds_version"] for row in rows})
    return [thresholds_from(r for r in rows if r["thresholds_version"] == v) for v in versions]


def use_hash(context: Context) -> str:
    """Changes with the rule map and the weights that edges are used with."""
    return digest([context.rule_map.digest, context.settings.scoring.weight_by_role])
