"""The mart: what a dashboard's database holds, and what its readers see meanwhile."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from databases import PASSWORD, postgresql, program
from labelled import FORMULA, HOSTILE, customer, label, new_project

from rfm_spark.errors import ConfigurationError, DataError
from rfm_spark.mart import statements
from rfm_spark.mart.login import login
from rfm_spark.mart.tables import MartColumn, MartTable, differences, mart_columns

METABASE = Path(__file__).parents[1] / "conf" / "metabase"
FIRST, SECOND, THIRD = (date(2026, month, 1) for month in (1, 2, 3))
NEW_NAME = "Renamed"


# The address, the names and the types: no database.


@pytest.mark.parametrize(
    ("url", "host", "port", "database"),
    [
        ("jdbc:postgresql://db.example:6432/bi", "db.example", "6432", "bi"),
        ("jdbc:postgresql://db.example/bi?user=u", "db.example", "5432", "bi"),
        ("jdbc:postgresql://[::1]:5433/b%20i", "::1", "5433", "b i"),
        ("jdbc:postgresql://a,b:5433/bi", "a,b", "5432,5433", "bi"),
        ("jdbc:postgresql:bi", "localhost", "5432", "bi"),
    ],
)
def test_the_address_of_the_driver_says_where_to_log_in(url, host, port, database) -> None:
    found = login(url, {})
    assert (found["host"], found["port"], found["dbname"]) == (host, port, database)


def test_properties_go_before_the_address_and_what_only_the_driver_knows_stays_out() -> None:
    url = "jdbc:postgresql://h/bi?user=a%40b&password=p%26q&ssl=true&prepareThreshold=0"
    found = login(url, {"password": "other", "reWriteBatchedInserts": True})
    assert (found["user"], found["password"], found["sslmode"]) == ("a@b", "other", "verify-full")
    assert set(found) == {
        *("user", "password", "sslmode", "host", "port", "dbname"),
        *("connect_timeout", "application_name"),
    }


@pytest.mark.parametrize("url", ["jdbc:postgresql://host", "jdbc:postgresql://host:port/bi"])
def test_an_address_without_a_database_is_refused(url) -> None:
    with pytest.raises(ConfigurationError, match=r"jdbc:postgresql://host:5432/database"):
        login(url, {})


def test_types_that_no_dashboard_shows_are_named_all_at_once() -> None:
    with pytest.raises(DataError, match=r"tags \(array<string>\), place \(struct<a:int>\)"):
        mart_columns({"n": "int", "tags": "array<string>", "place": "struct<a:int>"})


def test_a_table_with_other_types_is_told_by_column() -> None:
    table = MartTable("t", "", (MartColumn("a", "bigint"), MartColumn("b", "text")), ("a",))
    assert differences(table, [("a", "text"), ("c", "date")]) == ["a is text, and would be bigint"]


def test_names_and_texts_are_quoted_as_postgresql_reads_them() -> None:
    assert statements.quoted('a"b', "C d") == '"a""b"."C d"'
    assert statements.literal("it's \\ here") == r"E'it''s \\ here'"


# A real database.


@pytest.fixture(scope="module")
def database():
    if program("initdb") is None:
        pytest.skip("initdb is not installed here")
    with postgresql() as found:
        yield found


@pytest.fixture
def bi(database):
    """A connection to an empty database."""
    import psycopg

    port = database.url.split(":")[3].split("/")[0]
    with psycopg.connect(
        f"host=127.0.0.1 port={port} dbname=shop user=rfm password={PASSWORD}", autocommit=True
    ) as connection:
        for schema in ("public", 'b"i'):
            connection.execute(f"DROP SCHEMA IF EXISTS {statements.quoted(schema)} CASCADE")
        connection.execute("CREATE SCHEMA public")
        yield connection


def export(project, database, day: date, **further: object) -> int:
    settings = {
        "type": "jdbc",
        "url": database.url,
        "properties": {"user": database.user, "password": PASSWORD},
        **further,
    }
    arguments = ("--set", f"exports.bi={json.dumps(settings)}")
    return project.rfm("export", "--snapshot-date", str(day), "--to", "bi", *arguments)


@pytest.fixture(scope="module")
def labelled(spark, tmp_path_factory):
    """Three dates of the same three customers, and one more on each."""
    project = new_project(tmp_path_factory.mktemp("mart") / "a project")
    customers = [
        customer(day, f"{name}\n'{n}'", aum_per_day=n / 3, rfm_score=1 + n / 7)
        for i, day in enumerate((FIRST, SECOND, THIRD))
        for n, name in enumerate(["Ann", "Bob", "Cay", "Dan", "Eve", "Fay"][: 3 + i])
    ]
    customers[-1] |= {"aum_per_day": None, "aum": None, "rfm_segment": "No purchase"}
    label(spark, project, customers)
    return project, customers


def rows(bi, sql: str) -> list[tuple]:
    return bi.execute(sql).fetchall()


@pytest.mark.slow
def test_a_dashboard_finds_customers_profiles_migrations_and_sizes(labelled, database, bi) -> None:
    project, customers = labelled
    assert export(project, database, SECOND, columns=["region"]) == 0
    shown = rows(
        bi,
        "SELECT snapshot_date, customer_id, rfm_score, aum_per_day, segment, rfm_segment, "
        "monetary, region FROM customer_segmentation",
    )
    names = ("snapshot_date", "customer_id", "rfm_score", "aum_per_day", "cluster_segment")
    names += ("rfm_segment", "monetary", "region")
    expected = [tuple(c[n] for n in names) for c in customers if c["snapshot_date"] == SECOND]
    assert sorted(shown) == sorted(expected)
    assert Counter(rows(bi, "SELECT snapshot_date, kind, segment, customers FROM segment_sizes"))
    sizes = rows(bi, "SELECT snapshot_date, customers FROM segment_sizes WHERE kind = 'cluster'")
    assert sorted(sizes) == [(FIRST, 3), (SECOND, 4)]
    profile = "SELECT segment, shares_region FROM segment_profiles WHERE kind = 'cluster'"
    shares = {'O\'Neill, "West"\n=1+1': 0.75, "Łódź \\ �": 0.25}
    assert rows(bi, profile) == [(HOSTILE, shares)]
    moves = rows(bi, "SELECT from_segment, to_segment, customers, revenue FROM segment_migrations")
    one = (1, Decimal("1.00"))
    assert set(moves) == {(None, HOSTILE, *one), (HOSTILE, HOSTILE, *one), (HOSTILE, None, *one)}
    indices = rows(bi, "SELECT indexdef FROM pg_indexes WHERE tablename = 'customer_segmentation'")
    for columns in ("snapshot_date, segment)", "snapshot_date, rfm_segment)"):
        assert any(columns in definition for (definition,) in indices)
    left = rows(bi, f"SELECT 1 FROM pg_tables WHERE tablename LIKE '{statements.STAGED}%'")
    assert left == []


@pytest.mark.slow
def test_a_date_that_the_mart_holds_is_not_sent_again_and_an_older_one_takes_it_back(
    labelled, database, bi, capsys
) -> None:
    project, _ = labelled
    ids = "SELECT snapshot_date, count(*), min(xmin::text) FROM {} GROUP BY 1 ORDER BY 1"
    customers = ids.format("customer_segmentation")
    assert export(project, database, THIRD, keep_dates=2) == 0
    before = rows(bi, customers), rows(bi, ids.format("segment_sizes"))
    assert [(day, count) for day, count, _ in before[0]] == [(SECOND, 4), (THIRD, 5)]
    capsys.readouterr()
    assert export(project, database, THIRD, keep_dates=2) == 0
    assert "already" in capsys.readouterr().out
    assert (rows(bi, customers), rows(bi, ids.format("segment_sizes"))) == before
    assert export(project, database, SECOND, keep_dates=2) == 0
    after = rows(bi, customers)
    assert [(day, count) for day, count, _ in after] == [(FIRST, 3), (SECOND, 4)]
    assert after[1] == before[0][0], "the second date was written once"
    bi.execute(f"DELETE FROM customer_segmentation WHERE snapshot_date = '{FIRST}'")
    assert export(project, database, SECOND, keep_dates=2) == 0
    assert [(day, count) for day, count, _ in rows(bi, customers)] == [(FIRST, 3), (SECOND, 4)]


@pytest.mark.slow
def test_readers_never_fail_and_never_see_mixed_dates_while_the_mart_is_replaced(
    labelled, database, bi
) -> None:
    """Each date has another number of customers, in every table."""
    import psycopg

    project, _ = labelled
    assert export(project, database, FIRST) == 0
    whole = {(FIRST, 3, 3), (SECOND, 4, 4), (THIRD, 5, 5)}
    one_statement = """
        SELECT c.snapshot_date, count(*), max(p.customers) FROM customer_segmentation c
        JOIN segment_profiles p ON p.kind = 'cluster' AND p.segment = c.segment GROUP BY 1
    """
    seen: list[tuple] = []
    faults: list[object] = []
    done = threading.Event()

    def read() -> None:
        address = bi.info.dsn + f" password={PASSWORD}"
        with psycopg.connect(address, autocommit=True) as reader:
            while not done.wait(0.02):  # leaves the export some of the interpreter
                try:
                    found = rows(reader, one_statement)
                    with reader.transaction():  # two statements on one snapshot
                        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                        dates = rows(reader, "SELECT DISTINCT snapshot_date FROM segment_profiles")
                        same = rows(
                            reader, "SELECT DISTINCT snapshot_date FROM customer_segmentation"
                        )
                except psycopg.Error as error:
                    faults.append(error)
                    return
                if len(found) != 1 or found[0] not in whole or dates != same or len(dates) != 1:
                    faults.append((found, dates, same))
                seen.append(found[0] if found else ())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for i in range(6):
            assert export(project, database, (SECOND, THIRD, FIRST)[i % 3]) == 0
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert faults == []
    assert set(seen) == whole
    assert len(seen) > 20


@pytest.mark.slow
def test_tables_of_others_and_of_other_types_are_left_alone(labelled, database, bi, capsys) -> None:
    project, _ = labelled
    bi.execute("CREATE TABLE segment_profiles (mine text)")
    bi.execute("INSERT INTO segment_profiles VALUES ('kept')")
    assert export(project, database, FIRST) == 3
    assert "which this program has not made" in capsys.readouterr().err
    assert rows(bi, "SELECT * FROM segment_profiles") == [("kept",)]
    assert rows(bi, "SELECT to_regclass('customer_segmentation')") == [(None,)]
    assert export(project, database, FIRST, schema='b"i') == 0
    place = statements.quoted('b"i', "customer_segmentation")
    bi.execute(f"ALTER TABLE {place} ALTER customer_id TYPE varchar(40)")
    assert export(project, database, SECOND, schema='b"i') == 3
    told = capsys.readouterr().err
    assert "customer_id is character varying(40), and would be text" in told
    assert rows(bi, f"SELECT count(*) FROM {place}") == [(3,)]


@pytest.mark.slow
def test_a_new_column_is_added_and_what_a_killed_export_left_is_cleared(
    labelled, database, bi
) -> None:
    project, _ = labelled
    assert export(project, database, FIRST) == 0
    bi.execute(f"CREATE TABLE {statements.STAGED}customer_segmentation_0123abcd (a int)")
    bi.execute("CREATE VIEW chosen AS SELECT customer_id, segment FROM customer_segmentation")
    assert export(project, database, FIRST, columns=["region", "tenure_days"]) == 0
    regions = rows(bi, "SELECT DISTINCT region, tenure_days FROM customer_segmentation")
    assert regions == [('O\'Neill, "West"\n=1+1', None)]
    assert rows(bi, "SELECT count(*) FROM chosen") == [(3,)]
    left = rows(bi, f"SELECT 1 FROM pg_tables WHERE tablename LIKE '{statements.STAGED}%'")
    assert left == []


@pytest.mark.slow
def test_what_keeps_the_mart_from_being_written_is_one_paragraph(
    labelled, database, bi, capsys
) -> None:
    project, _ = labelled
    lock = "SELECT pg_advisory_lock(hashtextextended('rfm_spark mart public', 0))"
    bi.execute(lock)
    assert export(project, database, FIRST) == 4
    assert "another export is writing the schema public" in capsys.readouterr().err
    bi.execute("SELECT pg_advisory_unlock_all()")
    assert export(project, database, date(2026, 1, 2)) == 3
    assert "no labels of 2026-01-02" in capsys.readouterr().err
    assert export(project, database, FIRST, properties={"user": "rfm", "password": "wr0ng!"}) == 2
    told = capsys.readouterr().err
    assert "refuses user and password" in told
    assert "wr0ng!" not in told
    assert export(project, database, FIRST, columns=["regio"]) == 2
    assert "did you mean region?" in capsys.readouterr().err
    bi.execute("DROP ROLE IF EXISTS guest")
    bi.execute("CREATE ROLE guest LOGIN PASSWORD 'guest-word'")
    guest = {"user": "guest", "password": "guest-word"}
    assert export(project, database, FIRST, properties=guest) == 2
    assert "grant CREATE and USAGE" in capsys.readouterr().err


# What Metabase asks.


def asked(name: str, **filters: str) -> str:
    """A question's SQL as Metabase sends it: chosen filters in, optional ones out."""
    sql = (METABASE / f"{name}.sql").read_text(encoding="utf-8")
    known = set(re.findall(r"\{\{(\w+)\}\}", sql))
    assert set(filters) <= known, f"{name} has the filters {sorted(known)}"

    def optional(clause: re.Match[str]) -> str:
        named = re.findall(r"\{\{(\w+)\}\}", clause[1])
        return clause[1] if set(named) <= set(filters) else ""

    sql = re.sub(r"\[\[(.*?)\]\]", optional, sql, flags=re.S)
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filters[found[1]], sql)


@pytest.mark.slow
def test_the_questions_of_the_dashboard_are_answered(labelled, database, bi) -> None:
    project, customers = labelled
    assert export(project, database, THIRD, keep_dates=3) == 0
    table = "customer_segmentation"
    in_range = {"snapshot_date": f"{table}.snapshot_date BETWEEN '2026-01-01' AND '2026-02-28'"}
    segment = {"segment": f"{table}.segment = 'nobody'"}

    assert rows(bi, asked("distribution_across_segments")) == [(HOSTILE, 5, Decimal("100.0"))]
    assert rows(bi, asked("distribution_across_segments", **in_range))[0][:2] == (HOSTILE, 4)
    assert rows(bi, asked("distribution_across_segments", **segment)) == []

    points = {(c["rfm_score"], c["aum_per_day"]) for c in customers if c["snapshot_date"] == THIRD}
    shown = rows(bi, asked("rfm_score_against_aum_per_day"))
    assert {(score, per_day) for _, score, per_day in shown} == {p for p in points if p[1]} | {
        p for p in points if p[1] == 0
    }
    assert rows(bi, asked("rfm_score_against_aum_per_day", **segment)) == []
    assert len(rows(bi, asked("rfm_score_against_aum_per_day", **in_range))) == 4

    sizes = rows(bi, asked("sizes_over_time"))
    assert sizes == [(FIRST, HOSTILE, 3), (SECOND, HOSTILE, 4), (THIRD, HOSTILE, 5)]
    moved = rows(bi, asked("who_moved"))
    assert {row[:2] for row in moved} == {("(new)", HOSTILE), (HOSTILE, "(departed)")}
    todo = rows(bi, asked("what_to_do"))
    assert {row[1] for row in todo} >= {FORMULA, "No purchase"}


def test_every_question_is_asked_by_a_test() -> None:
    asked_here = set(re.findall(r'asked\("(\w+)"', Path(__file__).read_text(encoding="utf-8")))
    assert asked_here == {file.stem for file in METABASE.glob("*.sql")}
