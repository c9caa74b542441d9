"""Score edges: cut on a date, stored with a version, applied until they are cut again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from rfm_spark import schemas
from rfm_spark.config.naming import digest
from rfm_spark.errors import ModelError
from rfm_spark.pipeline.context import Context
from rfm_spark.pipeline.stored_thresholds import (
    newest_alike,
    stored_thresholds,
    stored_version,
    use_hash,
)
from rfm_spark.scoring.cuts import Cut, Role, Ties, cut
from rfm_spark.scoring.methods import FIXED
from rfm_spark.scoring.scores import has_no_purchase, with_scores
from rfm_spark.scoring.thresholds import Thresholds, threshold_records

_TABLE = schemas.SCORE_THRESHOLDS


def cut_thresholds(context: Context, features: DataFrame, *, snapshot_date: date) -> Thresholds:
    """Cut edges over the customers with a purchase and store them; writes ``score_thresholds``.

    Roles whose method is ``fixed`` take theirs from the configuration, or from a stored version. A
    stored version that is wanted for every role, with the same map and weights, is used as it is.

    Raises:
        ModelError: The stored version that is asked for is not there, or has other roles or bins.
    """
    scoring = context.settings.scoring
    version = scoring.thresholds_version
    given = stored_version(context, version) if version is not None else None
    fixed = _fixed_cuts(context, given)
    is_whole = given is not None and set(fixed) == set(scoring.feature_by_role)
    if is_whole and given is not None and given.use_hash == use_hash(context):
        return given
    purchasers = features.where(~has_no_purchase())
    roles = {
        role: Role(feature, scoring.bins_by_role[role], scoring.method_by_role[role])
        for role, feature in scoring.feature_by_role.items()
        if role not in fixed
    }
    with context.timed("cutting score edges"):
        found = cut(purchasers, roles)
        customers = purchasers.select(F.count(F.lit(1))).collect()[0][0]
    for role, (_, ties) in found.items():
        _tell_ties(context, role, roles[role], ties)
    cuts = {r: fixed[r] if r in fixed else found[r][0] for r in scoring.feature_by_role}
    return _store(context, cuts, customers, snapshot_date)


def thresholds_in_force(
    context: Context, features: DataFrame, *, snapshot_date: date
) -> Thresholds | None:
    """The edges to score a date with; None where there are none yet.

    With ``refresh: every_run`` they are cut on the date itself. Edges that are fixed for every role
    need no training. Stored edges that are used with another rule map or other weights than before
    are stored again under a version of their own, so that a version always says which map and which
    weights were in force.
    """
    if context.settings.scoring.refresh == "every_run":
        return cut_thresholds(context, features, snapshot_date=snapshot_date)
    if _all_fixed(context):
        known = newest_alike(context, snapshot_date)
        return known or cut_thresholds(context, features, snapshot_date=snapshot_date)
    thresholds = stored_thresholds(context, snapshot_date=snapshot_date)
    if thresholds is None or thresholds.use_hash == use_hash(context):
        return thresholds
    return _store(context, thresholds.cuts, thresholds.customers, snapshot_date)


def lacks_thresholds(context: Context, *, snapshot_date: date) -> bool:
    """Whether edges must be cut by training before a date can be scored.

    Raises:
        ModelError: There are some, cut with other roles, bins or methods.
    """
    if context.settings.scoring.refresh == "every_run" or _all_fixed(context):
        return False
    return stored_thresholds(context, snapshot_date=snapshot_date) is None


def scored(context: Context, features: DataFrame, thresholds: Thresholds) -> DataFrame:
    """``customer_features`` with the scores that these edges give."""
    scoring = context.settings.scoring
    return with_scores(
        features,
        roles=scoring.feature_by_role,
        cuts=thresholds.cuts,
        weights=scoring.weight_by_role,
    )


def _all_fixed(context: Context) -> bool:
    return set(context.settings.scoring.method_by_role.values()) == {FIXED}


def _fixed_cuts(context: Context, given: Thresholds | None) -> dict[str, Cut]:
    """The cuts of the roles whose method is ``fixed``."""
    scoring = context.settings.scoring
    fixed = [role for role, method in scoring.method_by_role.items() if method == FIXED]
    if given is None:
        return {
            role: Cut(FIXED, scoring.bins_by_role[role], scoring.edges_by_role[role])
            for role in fixed
        }
    other = []
    for role in fixed:
        found = given.cuts.get(role)
        wanted = scoring.feature_by_role[role], scoring.bins_by_role[role]
        if found is None or (given.features[role], found.bins) != wanted:
            there = f"{given.features[role]} in {found.bins} bins" if found else "nothing"
            other.append(f"{role} is {there} there and {wanted[0]} in {wanted[1]} bins here")
    if other:
        raise ModelError(
            f"scoring.thresholds_version {given.version} does not fit scoring.roles and bins: "
            + "; ".join(other)
        )
    return {role: given.cuts[role] for role in fixed}


def _store(
    context: Context, cuts: Mapping[str, Cut], customers: int, snapshot_date: date
) -> Thresholds:
    scoring, in_use = context.settings.scoring, use_hash(context)
    edges = [[one.method, one.edges, one.customer_ids] for one in cuts.values()]
    version = f"{snapshot_date}-{digest([edges, scoring.edges_hash, in_use])}"
    shared = {
        "thresholds_version": version,
        "snapshot_date": snapshot_date,
        "customers": customers,
        "scoring_hash": scoring.edges_hash,
        "use_hash": in_use,
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
        for record in threshold_records(cuts)
    ]
    ordered = [tuple(row[name] for name in _TABLE.columns) for row in rows]
    frame = context.spark.createDataFrame(ordered, _TABLE.ddl)
    where = f"snapshot_date = DATE'{snapshot_date}'"
    if (kept := scoring.thresholds_version) is not None:  # still asked for, also on this date
        where += f" AND thresholds_version <> '{kept}'"
    context.write(_TABLE, frame.repartition(1), where)
    return Thresholds(
        version,
        snapshot_date,
        scoring.edges_hash,
        in_use,
        customers,
        cuts,
        scoring.feature_by_role,
    )


def _tell_ties(context: Context, name: str, role: Role, ties: Ties) -> None:
    """Say what equal values did to the scores of a role."""
    shared = ", ".join(
        f"{customers:,} with {role.feature} = {value:,g}"
        for value, customers in sorted(ties.shared.items())
    )
    if ties.split:
        context.display.note(
            f"{name}: customers of equal {role.feature} get different scores in order of "
            f"customer_id, as {role.method} does ({shared})"
        )
    elif ties.empty_scores:
        turned = role.bins + 1
        empty = [turned - s if name == "recency" else s for s in ties.empty_scores]
        listed = ", ".join(str(score) for score in sorted(empty))
        plural = "score" if len(empty) == 1 else "scores"
        context.display.warn(
            f"{name}: nobody gets {plural} {listed} of {role.bins}, because many customers share a "
            f"value ({shared}); fewer bins would fill them"
        )
