"""What a checked configuration comes to, in lines for people: no data, no Spark."""

from __future__ import annotations

from rfm_spark.config import Configuration
from rfm_spark.rules import RuleMap, cell_name, coverage, disordered_pairs

_MOST_CASES = 30


def check_lines(configuration: Configuration, *, verbose: bool) -> list[str]:
    """What the command ``check`` says, line by line.

    Args:
        configuration: Checked settings and their rule map.
        verbose: List every case and every pair of codes that is only counted otherwise.
    """
    rule_map = configuration.rule_map
    pairs = disordered_pairs(rule_map)
    lines = [
        f"configuration {configuration.config_hash}: fine",
        *_coverage_lines(rule_map, verbose=verbose),
    ]
    if not rule_map.features:
        pairs_of = "pair of codes" if len(pairs) == 1 else "pairs of codes"
        lines.append(
            f"{len(pairs)} {pairs_of} where the better code has the worse segment"
            + ("" if verbose or not pairs else " (-v lists them)")
        )
    if verbose:
        for better, worse in pairs:
            names = [rule_map.segment_of(code) for code in (better, worse)]
            described = [segment.name if segment else "nothing" for segment in names]
            lines.append(
                f"  {cell_name(better, rule_map.bins)} {described[0]} < "
                f"{cell_name(worse, rule_map.bins)} {described[1]}"
            )
    return lines


def _coverage_lines(rule_map: RuleMap, *, verbose: bool) -> list[str]:
    """What a rule map covers, and what it leaves to its ``otherwise`` or to its order."""
    covered = coverage(rule_map)
    what = "cases of scores and features" if rule_map.features else "codes"
    parts = f"rule map {rule_map.name}: {len(rule_map.segments)} segments, {covered.cases} {what}"
    lines = []
    if covered.uncovered and rule_map.otherwise is not None:
        cases = covered.uncovered if verbose else covered.uncovered[:_MOST_CASES]
        listed = ("; " if rule_map.features else " ").join(cases)
        more = "" if len(cases) == len(covered.uncovered) else " ... (-v lists them all)"
        lines.append(
            f"{len(covered.uncovered)} {what} that no rule covers go to "
            f"{rule_map.otherwise.name}: {listed}{more}"
        )
    if covered.doubled:
        lines.append(f"{len(covered.doubled)} {what} that several rules claim go to the first")
    silent = [segment.name for segment in rule_map.segments if not segment.action]
    if silent:
        lines.append(f"without a marketing action: {', '.join(silent)}")
    return [parts + ("" if covered.uncovered or covered.doubled else ", each covered once"), *lines]
