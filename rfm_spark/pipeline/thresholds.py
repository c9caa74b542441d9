"""Score edges: cut on a date, stored with a version, applied until they are cut again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.naming import digest
from rfm_spark.errors import ModelError
from rfm_spark.pipeline.context import Context
from rfm_spark.scoring.edges import value_edges
from rfm_spark.scoring.scores import has_no_purchase, with_scores
from rfm_spark.scoring.thresholds import Thresholds, threshold_records, thresholds_from

_TABLE = schemas.SCORE_THRESHOLDS


def cut_thresholds(context: Context, features: DataFrame, *, snapshot_date: date) -> Thresholds:
    """Cut edges over the customers with a purchase and store them; writes ``score_thresholds``."""
    scoring = context.settings.scoring
    purchasers = features.where(~has_no_purchase())
    with context.timed("cutting score edges"):
        edges = value_edges(purchasers, scoring.feature_by_role, scoring.bins_by_role)
        customers = purchasers.select(F.count(F.lit(1))).collect()[0][0]
    _warn_of_ties(context, edges)
    return _store(context, edges, customers, snapshot_date)


def thresholds_in_force(
    context: Context, features: DataFrame, *, snapshot_date: date
) -> Thresholds | None:
    """The edges to score a date with; None where there are none yet.

    With ``refresh: every_run`` they are cut on the date itself. Stored edges that are used with
    another rule map or other weights than before are stored again under a version of their own,
    so that a version always says which map and which weights were in force.
    """
    if context.settings.scoring.refresh == "every_run":
        return cut_thresholds(context, features, snapshot_date=snapshot_date)
    thresholds = stored_thresholds(context, snapshot_date=snapshot_date)
    if thresholds is None or thresholds.use_hash == _use_hash(context):
        return thresholds
    return _store(context, thresholds.edges, thresholds.customers, snapshot_date)


def _use_hash(context: Context) -> str:
    """Changes with the rule map and the weights that edges are used with."""
    return digest([context.rule_map.digest, context.settings.scoring.weight_by_role])


def _store(
    context: Context, edges: Mapping[str, Sequence[float]], customers: int, snapshot_date: date
) -> Thresholds:
    scoring, use_hash = context.settings.scoring, _use_hash(context)
    version = f"{snapshot_date}-{digest([edges, scoring.edges_hash, use_hash])}"
    shared = {
        "thresholds_version": version,
        "method": scoring.method,
        "snapshot_date": snapshot_date,
        "customers": customers,
        "scoring_hash": scoring.edges_hash,
        "use_hash": use_hash,
        "rules": context.rule_map.name,
        "rules_hash": context.rule_map.digest,
        "rules_map": context.rule_map.as_json(),
    }
    rows = [
        record
        | shared
        | {
            "feature": scoring.feature_by_role[record["metric"]],
            "weight": scoring.weight_by_role[record["metric"]],
        }
        for record in threshold_records(edges, scoring.bins_by_role)
    ]
    ordered = [tuple(row[name] for name in _TABLE.columns) for row in rows]
    frame = context.spark.createDataFrame(ordered, _TABLE.ddl)
    context.write(_TABLE, frame.repartition(1), f"snapshot_date = DATE'{snapshot_date}'")
    return Thresholds(version, snapshot_date, scoring.edges_hash, use_hash, customers, edges)


def stored_thresholds(context: Context, *, snapshot_date: date) -> Thresholds | None:
    """The edges with the largest snapshot date up to this one; None where there are none.

    Raises:
        ModelError: They were cut with other roles, bins or methods than the configuration has.
    """
    table = context.read_or_none(_TABLE.name)
    if table is None:
        return None
    known = table.where(F.col("snapshot_date") <= F.lit(snapshot_date))
    newest = known.agg(F.max("snapshot_date")).collect()[0][0]
    if newest is None:
        return None
    thresholds = thresholds_from(known.where(F.col("snapshot_date") == F.lit(newest)).collect())
    if thresholds.scoring_hash != context.settings.scoring.edges_hash:
        raise ModelError(
            f"the score edges in force at {snapshot_date} ({thresholds.version}) were cut with "
            "other scoring.roles, bins or method than the configuration has now; go back to those, "
            f"or cut new ones with `rfm-spark run --snapshot-date {snapshot_date} --retrain`"
        )
    return thresholds


def scored(context: Context, features: DataFrame, thresholds: Thresholds) -> DataFrame:
    """``customer_features`` with the scores that these edges give."""
    scoring = context.settings.scoring
    return with_scores(
        features,
        roles=scoring.feature_by_role,
        bins=scoring.bins_by_role,
        edges=thresholds.edges,
        weights=scoring.weight_by_role,
    )


def _warn_of_ties(context: Context, edges: dict[str, list[float]]) -> None:
    for role, found in edges.items():
        repeated = len(found) - len(set(found))
        if repeated:
            context.display.warn(
                f"{role}: {repeated} of {len(found)} score edges repeat, because many customers "
                "share a value; some scores stay empty (fewer bins would fill them)"
            )
