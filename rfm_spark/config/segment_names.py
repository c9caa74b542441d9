"""Names of segments in the configuration, held against those that can be known without data."""

from __future__ import annotations

from rfm_spark.config.naming import known
from rfm_spark.config.settings import RfmSettings
from rfm_spark.errors import ConfigurationError
from rfm_spark.rules import NO_PURCHASE, RuleMap


def check_segment_names(settings: RfmSettings, rule_map: RuleMap) -> None:
    """See that campaigns and exports name segments that there can be.

    Known are those of the rule map, "No purchase", and the clusters' where the configuration lists
    them. Clusters that are named by rule may bear a segment's name with an addition.

    Raises:
        ConfigurationError: They do not; every unknown name is listed.
    """
    rules = [*dict.fromkeys([*(s.name for s in rule_map.segments), NO_PURCHASE.name])]
    listed = settings.clustering.names
    names = rules if listed == "rules" else [*dict.fromkeys([*rules, *listed])]
    problems = []
    for place, name in _named(settings):
        made = listed == "rules" and any(
            name.startswith((f"{rule}, ", f"{rule} (")) for rule in rules
        )
        try:
            if not made:
                known(name, names, "a segment")
        except ValueError as error:
            problems.append(f"  {place}: {error}")
    if problems:
        lines = "\n".join(problems)
        raise ConfigurationError(
            f"segments are named that neither the rule map {rule_map.name} nor clustering.names "
            f"has:\n{lines}"
        )


def _named(settings: RfmSettings) -> list[tuple[str, str]]:
    named = [("campaigns", name) for name in settings.campaigns]
    for export, own in settings.exports.items():
        segments = getattr(own, "segments", None) or ()
        named += [(f"exports.{export}.segments", name) for name in segments]
    return named
