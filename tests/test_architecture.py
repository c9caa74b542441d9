"""The arrows of import go one way, and the package runs where there is no driver JVM to reach."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rfm_spark"
ROOMS = {
    "ingest",
    "features",
    "scoring",
    "clustering",
    "insight",
    "movement",
    "activation",
    "mart",
}
EXACT = {"order_statistics", "smallest_units", "exact_sums"}
# What each part of the package may import from the rest of it.
ALLOWED = {
    "errors": set(),
    "schemas": set(),
    "rules": {"schemas"},
    "order_statistics": set(),
    "smallest_units": {"schemas"},
    "exact_sums": {"smallest_units"},
    "caller_settings": set(),
    "jdbc_drivers": set(),
    "config": {"schemas", "errors", "rules", "jdbc_drivers"},
    "added_jars": {"errors"},
    "delta_package": {"errors"},
    "spark_start": {"added_jars", "caller_settings", "delta_package", "errors"},
    "session": {"added_jars", "errors", "jdbc_drivers", "spark_start"},
    "write_queue": {"added_jars"},
    "tables": {"schemas", "errors", "session", "write_queue"},
    **{room: {"schemas", "errors", "rules", "jdbc_drivers", *EXACT} for room in ROOMS},
    "report": {"schemas", "errors"},
    "pipeline": {
        "added_jars",
        "report",
        "config",
        "session",
        "tables",
        "schemas",
        "errors",
        "jdbc_drivers",
        "rules",
        *EXACT,
        *ROOMS,
    },
    "display": set(),
    "summary": {"pipeline", "insight", "display"},
    "checking": {"config", "rules"},
    "arguments": {"config"},
    "cli": {
        "arguments",
        "pipeline",
        "report",
        "session",
        "config",
        "display",
        "summary",
        "checking",
        "errors",
        "jdbc_drivers",
    },
}
BANNED = re.compile(
    r"\.rdd\b|sparkContext|\._jvm|\._jdf|current_date|current_timestamp|\budf\b|pandas_udf|"
    r"monotonically_increasing_id|dropDuplicates|\.cache\(\)|\.persist\("
)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(module: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rfm_spark"):
            inner = (node.module or "").split(".")[1:]
            found |= {inner[0]} if inner else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == "rfm_spark" and len(name) > 1}
    return found - {"__version__"}


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_of_import_go_one_way(module: Path) -> None:
    part = part_of(module)
    if part == "__init__":
        assert imported_parts(module) == set()
        return
    assert imported_parts(module) <= ALLOWED[part] | {part}


def test_every_part_has_its_arrows_drawn() -> None:
    assert {part_of(module) for module in modules()} - {"__init__"} == set(ALLOWED)


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_that_spark_connect_or_a_replay_forbids(module: Path) -> None:
    assert BANNED.findall(module.read_text()) == []


def test_only_the_start_builds_a_session_and_only_config_reads_yaml() -> None:
    for module in modules():
        text = module.read_text()
        assert "SparkSession.builder" not in text or part_of(module) == "spark_start"
        assert "import yaml" not in text or part_of(module) == "config"


def test_only_the_ledger_and_the_log_read_the_clock() -> None:
    readers = {
        str(module.relative_to(PACKAGE))
        for module in modules()
        if re.search(r"datetime\.now|date\.today|time\.time\(", module.read_text())
    }
    assert readers == {"display.py", "pipeline/ledger.py", "pipeline/turns.py"}
