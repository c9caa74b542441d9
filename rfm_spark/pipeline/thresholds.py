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
from rfm_spark.scoring.cuts import Cut, Role, cut
from rfm_spark.scoring.methods import FIXED, ORDERED_METHODS
from rfm_spark.scoring.scores import has_no_purchase, score_counts, with_scores
from rfm_spark.scoring.thresholds import Thresholds, threshold_records

_TABLE = schemas.SCORE_THRESHOLDS
_MOST_TOLD = 3


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
    if given is not None and set(fixed) == set(scoring.feature_by_role):
        return _in_use(context, given)
    purchasers = features.where(~has_no_purchase())
    roles = {
        role: Role(feature, scoring.bins_by_role[role], scoring.method_by_role[role])
        for role, feature in scoring.feature_by_role.items()
        if role not in fixed
    }
    with context.timed("cutting score edges"):
        found = cut(purchasers, roles)
        customers = purchasers.select(F.count(F.lit(1))).collect()[0][0]
        counts = score_counts(
            purchasers,
            {name: role.feature for name, role in roles.items()},
            {name: one for name, (one, _) in found.items()},
        )
    for name, (_, shared) in found.items():
        _tell_ties(context, name, roles[name], shared, counts[name])
    cuts = {r: fixed[r] if r in fixed else found[r][0] for r in scoring.feature_by_role}
    replaced = f"snapshot_date = DATE'{snapshot_date}'"
    if version is not None:  # it is still asked for, also on its own date
        replaced += f" AND thresholds_version <> '{version}'"
    return _store(context, cuts, customers, snapshot_date, replaced)


def thresholds_in_force(
    context: Context, features: DataFrame, *, snapshot_date: date
) -> Thresholds | None:
    """The edges to score a date with; None where there are none yet.

    With ``refresh: every_run`` they are cut on the date itself. Edges that are fixed for every role
    need no training.
    """
    if context.settings.scoring.refresh == "every_run":
        return cut_thresholds(context, features, snapshot_date=snapshot_date)
    if _all_fixed(context):
        known = newest_alike(context, snapshot_date)
        return known or cut_thresholds(context, features, snapshot_date=snapshot_date)
    thresholds = stored_thresholds(context, snapshot_date=snapshot_date)
    return None if thresholds is None else _in_use(context, thresholds)


def lacks_thresholds(context: Context, *, snapshot_date: date) -> bool:
    """Whether edges must be cut by training before a date can be scored.

    Raises:
        ModelError: There are some, cut with other roles, bins or methods.
    """
    if context.settings.scoring.refresh == "every_run" or _all_fixed(context):
        return False
    return stored_thresholds(context, snapshot_date=snapshot_date) is None


def version_in_force(context: Context, used: str, *, snapshot_date: date) -> str | None:
    """The version of the edges that a date would be scored with; None where there are none.

    Args:
        context: The run.
        used: The version that it was scored with under the same settings; edges that are cut anew
            on each run from the same features, or that the settings name, are still the same.
        snapshot_date: The date.
    """
    scoring = context.settings.scoring
    is_named = _all_fixed(context) and scoring.thresholds_version is not None
    if scoring.refresh == "every_run" or is_named:
        return used
    if _all_fixed(context):
        found = newest_alike(context, snapshot_date)
    else:
        found = stored_thresholds(context, snapshot_date=snapshot_date)
    return None if found is None else found.version


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


def _in_use(context: Context, stored: Thresholds) -> Thresholds:
    """Stored edges with the rule map and the weights of the configuration.

    Where they were stored with others, they are stored again under a version of their own and the
    date that they were cut on, so that a version always says which map and weights were in force.
    """
    if stored.use_hash == use_hash(context):
        return stored
    return _store(context, stored.cuts, stored.customers, stored.snapshot_date, None)


def _store(
    context: Context,
    cuts: Mapping[str, Cut],
    customers: int,
    snapshot_date: date,
    replaced: str | None,
) -> Thresholds:
    """Store edges in place of the rows that a predicate selects; None: of their own version."""
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
    own = f"snapshot_date = DATE'{snapshot_date}' AND thresholds_version = '{version}'"
    context.write_later(_TABLE, frame.repartition(1), replaced or own)
    return Thresholds(
        version,
        snapshot_date,
        scoring.edges_hash,
        in_use,
        customers,
        cuts,
        scoring.feature_by_role,
    )


def _tell_ties(
    context: Context, name: str, role: Role, shared: Mapping[float, int], counts: Mapping[int, int]
) -> None:
    """Say which scores nobody has, and where customers of equal value get different ones."""
    most = sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TOLD]
    listed = ", ".join(
        f"{customers:,} with {role.feature} = {value:,.12g}" for value, customers in most
    )
    empty = [number for number, customers in counts.items() if not customers]
    if empty:
        scores = f"score{'s' if len(empty) > 1 else ''} {', '.join(map(str, empty))} of {role.bins}"
        total = sum(counts.values())
        why = f"many customers share a value ({listed})" if listed else "the values lie too close"
        if total < role.bins:
            why = f"only {total:,} customers have a value"
        context.display.warn(
            f"{name}: nobody gets {scores}, because {why}; fewer bins may fill them"
        )
    elif role.method in ORDERED_METHODS and listed:
        context.display.note(
            f"{name}: customers of equal {role.feature} may get different scores in order of "
            f"customer_id, as {role.method} does ({listed})"
        )
