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
from rfm_spark.scoring.cuts import Cut, Role, Ties, cut
from rfm_spark.scoring.methods import FIXED
from rfm_spark.scoring.scores import has_no_purchase, with_scores
from rfm_spark.scoring.thresholds import Thresholds, threshold_records, thresholds_from

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
    given = _stored_version(context, version) if version is not None else None
    fixed = _fixed_cuts(context, given)
    is_whole = given is not None and set(fixed) == set(scoring.feature_by_role)
    if is_whole and given is not None and given.use_hash == _use_hash(context):
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
        known = _newest_alike(context, snapshot_date)
        return known or cut_thresholds(context, features, snapshot_date=snapshot_date)
    thresholds = stored_thresholds(context, snapshot_date=snapshot_date)
    if thresholds is None or thresholds.use_hash == _use_hash(context):
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


def stored_thresholds(context: Context, *, snapshot_date: date) -> Thresholds | None:
    """The edges with the largest snapshot date up to this one; None where there are none.

    Raises:
        ModelError: They were cut with other roles, bins or methods than the configuration has.
    """
    known = _known(context, snapshot_date)
    if known is None:
        return None
    of_date = _of_newest_date(known)
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
    use = _use_hash(context)
    return next((thresholds for thresholds in alike if thresholds.use_hash == use), alike[0])


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


def _known(context: Context, snapshot_date: date) -> DataFrame | None:
    table = context.read_or_none(_TABLE.name)
    return None if table is None else table.where(F.col("snapshot_date") <= F.lit(snapshot_date))


def _newest_alike(context: Context, snapshot_date: date) -> Thresholds | None:
    """The newest edges with the same settings, rule map and weights."""
    known = _known(context, snapshot_date)
    if known is None:
        return None
    hashes = context.settings.scoring.edges_hash, _use_hash(context)
    alike = known.where((F.col("scoring_hash") == hashes[0]) & (F.col("use_hash") == hashes[1]))
    return next(iter(_of_newest_date(alike)), None)


def _of_newest_date(known: DataFrame) -> list[Thresholds]:
    """The versions of the newest date, in order of their names."""
    newest = known.agg(F.max("snapshot_date")).collect()[0][0]
    if newest is None:
        return []
    rows = known.where(F.col("snapshot_date") == F.lit(newest)).collect()
    versions = sorted({row["thresholds_version"] for row in rows})
    return [thresholds_from(r for r in rows if r["thresholds_version"] == v) for v in versions]


def _stored_version(context: Context, version: str) -> Thresholds:
    """The stored edges that ``scoring.thresholds_version`` names."""
    table = context.read_or_none(_TABLE.name)
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


def _use_hash(context: Context) -> str:
    """Changes with the rule map and the weights that edges are used with."""
    return digest([context.rule_map.digest, context.settings.scoring.weight_by_role])


def _store(
    context: Context, cuts: Mapping[str, Cut], customers: int, snapshot_date: date
) -> Thresholds:
    scoring, use_hash = context.settings.scoring, _use_hash(context)
    edges = [[one.method, one.edges, one.customer_ids] for one in cuts.values()]
    version = f"{snapshot_date}-{digest([edges, scoring.edges_hash, use_hash])}"
    shared = {
        "thresholds_version": version,
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
        use_hash,
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
