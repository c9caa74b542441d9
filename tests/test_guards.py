"""What a run refuses, what its tables refuse, and what nobody gets to read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Project
from deltalake import DeltaTable
from pyspark.sql import functions as F
from stores import tables_of
from test_pipeline import CONFIG, SNAPSHOT, life, make_log

from rfm_spark.jdbc_drivers import redacted, secrets_of, without_secrets
from rfm_spark.pipeline.sources import without_values
from rfm_spark.schemas import CONTRACT_VERSION

RUN = ("run", "--snapshot-date", SNAPSHOT)


@pytest.fixture(scope="module")
def finished(spark, tmp_path_factory) -> Project:
    """A shop with its date done."""
    project = Project(tmp_path_factory.mktemp("guards") / "shop")
    project.folder.mkdir()
    project.configure(CONFIG.replace("k_range: [2, 3]", "k_range: [2, 2]"))
    make_log(project, life(12))
    assert project.rfm(*RUN) == 0
    return project


@pytest.fixture
def shop(finished, tmp_path) -> Project:
    shutil.copytree(finished.folder, tmp_path / "shop")
    return Project(tmp_path / "shop")


def versions(store: Path) -> dict[str, int]:
    return {name: DeltaTable(str(store / name)).version() for name in tables_of(store)}


@pytest.mark.slow
@pytest.mark.parametrize("table", ["runs", "customer_daily"])
def test_tables_of_a_later_contract_are_left_alone(shop, spark, capsys, table) -> None:
    store = shop.folder / "warehouse"
    later = CONTRACT_VERSION + 1
    spark.sql(
        f"ALTER TABLE delta.`{store / table}` SET TBLPROPERTIES ('rfm_spark.contract' = '{later}')"
    )
    before = versions(store)
    assert shop.rfm("ingest", "--from", "2024-01-01", "--to", "2024-01-31") == 3
    told = " ".join(capsys.readouterr().err.split())
    assert f"its tables are of contract {later}, and this program knows contract" in told
    if table == "runs":
        assert versions(store) == before
        assert shop.rfm("runs") == 3
    else:
        assert versions(store)[table] == before[table]


@pytest.mark.slow
def test_a_store_from_before_turns_and_contracts_is_brought_up(shop, spark) -> None:
    store = shop.folder / "warehouse"
    for name, lost in (("runs", ("turn", "process")), ("customer_daily", ())):
        rows = shop.table(spark, name).drop(*lost)
        rows.write.format("delta").save(str(shop.folder / "old" / name))
        shutil.rmtree(store / name)
        shutil.move(shop.folder / "old" / name, store / name)
    before = shop.rows(spark, "customer_segments")
    assert shop.rfm("ingest", "--from", "2024-01-30", "--to", "2024-01-31") == 0
    assert shop.rfm("runs") == 0
    assert shop.table(spark, "runs").where("turn IS NOT NULL").count() == 2
    properties = DeltaTable(str(store / "customer_daily")).metadata().configuration
    assert properties["rfm_spark.contract"] == str(CONTRACT_VERSION)
    assert "delta.constraints.orders_in_range" in properties
    assert shop.rows(spark, "customer_segments") == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("customer_daily", "orders = -1"),
        ("customer_daily", "refund_amount = 5"),
        ("customer_features", "recency_days = 0"),
        ("customer_segments", "r_score = 0"),
        ("customer_segments", "customer_id = NULL"),
        ("segment_profiles", "share = 1.5"),
        ("segment_profiles", "kind = 'other'"),
        ("runs", "status = 'perhaps'"),
    ],
)
def test_tables_refuse_what_cannot_be(finished, spark, table, change) -> None:
    name = f"delta.`{finished.folder / 'warehouse' / table}`"
    with pytest.raises(Exception, match=r"CHECK constraint|NOT NULL|NOT_NULL"):
        spark.sql(f"UPDATE {name} SET {change}").collect()


@pytest.mark.parametrize("setting", ["ignoreCorruptFiles", "ignoreMissingFiles"])
def test_a_session_that_passes_over_files_is_refused(project, spark, capsys, setting) -> None:
    make_log(project, life(2))
    project.configure(CONFIG)
    spark.conf.set(f"spark.sql.files.{setting}", "true")
    try:
        assert project.rfm(*RUN) == 2
    finally:
        spark.conf.unset(f"spark.sql.files.{setting}")
    assert setting in capsys.readouterr().err
    assert not (project.folder / "warehouse").exists()


def test_the_session_gets_its_own_settings_back(project, spark) -> None:
    make_log(project, life(2))
    project.configure(CONFIG)
    keys = ("spark.sql.ansi.enabled", "spark.sql.session.timeZone", "spark.job.description")
    spark.conf.set(keys[0], "false")
    before = [spark.conf.get(key, None) for key in keys]
    try:
        assert project.rfm("features", "--snapshot-date", SNAPSHOT) == 3  # nothing is ingested
        assert [spark.conf.get(key, None) for key in keys] == before
        assert not spark.getTags()
    finally:
        spark.conf.unset(keys[0])


@pytest.mark.parametrize(
    ("url", "shown", "secrets"),
    [
        (
            "jdbc:postgresql://u1:p@ss/w@h:5432/db?user=u2&password=sec/ret",
            "jdbc:postgresql://h:5432/db",
            {"u1", "p@ss/w", "u2", "sec/ret"},
        ),
        ("jdbc:db2://h/db:password=p4ss;user=me;", "jdbc:db2://h/db", {"p4ss", "me"}),
        ("jdbc:teradata://h/USER=me,PASSWORD=p4ss", "jdbc:teradata://h", {"me", "p4ss"}),
        ("jdbc:oracle:thin:me/p4ss@//h:1521/svc", "jdbc:oracle:thin://h:1521/svc", {"me", "p4ss"}),
        (
            "jdbc:sqlserver://h:1433;databaseName=shop;user=me;password=p4ss",
            "jdbc:sqlserver://h:1433",
            {"me", "p4ss"},
        ),
        ("jdbc:h2:mem:test", "jdbc:h2:mem:test", set()),
    ],
)
def test_how_a_database_is_logged_into_is_not_told(url, shown, secrets) -> None:
    assert without_secrets(url) == shown
    assert secrets_of(url, {}) == secrets
    told = redacted(f"no login as 'me' to {url} with p4ss or hunter22.", secrets | {"hunter22"})
    assert shown in told
    assert "hunter22" not in told
    assert not any(secret in told.replace(shown, "").split() for secret in secrets)


def test_properties_and_options_are_secret_by_their_name() -> None:
    named = {"password": "a b", "fetchsize": 1000, "oauth.Token": "t0k", "driver": "org.x.Driver"}
    assert secrets_of("jdbc:h2:mem:x", named) == {"a b", "t0k"}


@pytest.mark.parametrize(
    "value", ["c-17", r"DOM\ada", "O'Hara", "two\nlines", "a' of 'b", "x'); DROP TABLE runs; --"]
)
def test_ids_are_taken_out_of_what_spark_says(value) -> None:
    said = f"[CAST_INVALID_INPUT] The value '{value}' of the type \"STRING\" cannot be cast"
    assert without_values(said) == (
        "[CAST_INVALID_INPUT] The value '...' of the type \"STRING\" cannot be cast"
    )


def test_an_id_that_cannot_be_cast_is_not_shown(project, spark, capsys) -> None:
    make_log(project, [("ada@example.org", "2024-01-05", 1, "o")])
    project.configure(CONFIG.replace("customer_id: user", "customer_id: cast(user as bigint)"))
    assert project.rfm("ingest", "--to", "2024-01-31") == 3
    told = capsys.readouterr()
    assert "columns.customer_id" in told.err
    assert "fails on 'ada'...:" in " ".join(told.err.split())
    assert "ada@" not in told.err + told.out
    error = project.table(spark, "runs").where("error IS NOT NULL").first()["error"]
    assert "ada@" not in error


@pytest.mark.slow
def test_an_id_or_a_folder_that_looks_like_sql_is_one(project, spark, tmp_path) -> None:
    odd = ["x' OR '1'='1", '"; DROP TABLE runs; --', "a`b", "=1+1", r"back\slash", "<b>bold</b>"]
    make_log(project, [*life(6), *((name, "2024-01-05", 9, f"o{n}") for n, name in enumerate(odd))])
    store = "it's an `odd` store"
    config = CONFIG.replace("k_range: [2, 3]", "k_range: [2, 2]")
    project.configure(config.replace("./warehouse", f'"./{store}"'))
    assert project.rfm(*RUN) == 0
    ids = {r["customer_id"] for r in project.table(spark, "customer_segments", store).collect()}
    assert ids >= set(odd) - {odd[1]}  # in CSV this one is a quoted field
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(odd))
    assert project.rfm("forget", "--customers", str(listed)) == 0
    left = project.table(spark, "customer_segments", store)
    assert left.where(F.col("customer_id").isin(*odd)).count() == 0
    assert left.count() == 6
