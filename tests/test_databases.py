"""The example configurations on a real MariaDB and a real PostgreSQL."""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from databases import PASSWORD, mariadb, postgresql, program
from deltalake import DeltaTable
from processes import start

pytestmark = pytest.mark.slow
CONF = Path(__file__).parents[1] / "conf"
SNAPSHOT = date(2024, 2, 1)
PEOPLE = range(1, 31)


def needs(name: str) -> None:
    if program(name) is None:
        pytest.skip(f"{name} is not installed here")


def moments(seed: int, per_person: int) -> list[tuple[int, datetime]]:
    """(person, wall clock) in January and February, many of them around midnight."""
    draw = random.Random(seed)
    found = []
    for person in PEOPLE:
        for _ in range(draw.randint(0, per_person)):
            day = datetime(2024, 1, 1) + timedelta(days=draw.randint(0, 34))
            hour = draw.choice([0, 12, 22, 23])
            found.append((person, day.replace(hour=hour, minute=draw.randint(0, 59))))
    return found


def days_of(events: list[tuple[int, datetime]], shift: timedelta) -> dict[int, list[date]]:
    """Person to business days before the snapshot date."""
    days = defaultdict(list)
    for person, at in events:
        if (day := (at + shift).date()) < SNAPSHOT:
            days[person].append(day)
    return days


def values(rows: list[tuple]) -> str:
    def text(value) -> str:
        return "NULL" if value is None else f"'{value}'"

    return ", ".join(f"({', '.join(map(text, row))})" for row in rows)


@pytest.fixture(scope="module")
def app():
    """The learning app's database, with the facts that it was filled with."""
    needs("mariadbd")
    claims, modules, logins = moments(1, 9), moments(2, 5), moments(3, 12)
    claims = [(person, at, n % 4 + 1, n % 5 > 0) for n, (person, at) in enumerate(claims)]
    with mariadb() as database:
        database.run(
            """
            CREATE TABLE users (id bigint PRIMARY KEY, created_at date, region varchar(20));
            CREATE TABLE objectives (id int PRIMARY KEY, points int);
            CREATE TABLE objective_claims (id bigint PRIMARY KEY AUTO_INCREMENT, user_id bigint,
                objective_id int, claimed_at datetime, status varchar(10));
            CREATE TABLE module_completions (user_id bigint, module_id int, completed_at datetime);
            CREATE TABLE logins (user_id bigint, logged_in_at timestamp NULL);
            INSERT INTO objectives VALUES (1, 10), (2, 20), (3, 50), (4, 100);
            """
            + f"INSERT INTO users VALUES {values([(n, '2023-12-01', 'Kánò') for n in PEOPLE])};"
            + "INSERT INTO objective_claims (user_id, objective_id, claimed_at, status) VALUES "
            + values([(p, o, at, "approved" if ok else "open") for p, at, o, ok in claims])
            + f"; INSERT INTO module_completions VALUES {values([(p, 1, at) for p, at in modules])}"
            + f"; INSERT INTO logins VALUES {values(logins)};"
        )
        yield database, claims, modules, logins


def settings(database, prefix: str, folder: Path) -> dict[str, str]:
    return {
        f"{prefix}_URL": database.url,
        f"{prefix}_USER": database.user,
        f"{prefix}_PASSWORD": PASSWORD,
        "RFM_EXAMPLE_DIR": str(folder),
    }


def table(folder: Path, example: str, name: str) -> list[dict]:
    return DeltaTable(str(folder / example / "warehouse" / name)).to_pyarrow_table().to_pylist()


def test_points_modules_and_logins_come_from_mariadb(spark, app, tmp_path, monkeypatch) -> None:
    from rfm_spark.cli import main

    database, claims, modules, logins = app
    for name, value in settings(database, "MYSQL", tmp_path).items():
        monkeypatch.setenv(name, value)
    arguments = ["--config", str(CONF / "mysql_example.yaml"), "--snapshot-date", str(SNAPSHOT)]
    assert main(["run", *arguments]) == 0
    approved = [(person, at) for person, at, _, is_approved in claims if is_approved]
    claim_days = days_of(approved, timedelta())  # a datetime is wall clock
    module_days = days_of(modules, timedelta())
    login_days = days_of(logins, timedelta(hours=1))  # a timestamp is UTC, and Lagos an hour ahead
    rows = {row["customer_id"]: row for row in table(tmp_path, "mysql", "customer_features")}
    assert set(rows) == set(PEOPLE)
    for person, row in rows.items():
        assert row["lines"] == row["orders"] == len(claim_days[person])
        assert row["active_days"] == len(set(claim_days[person]))
        points = [(10, 20, 50, 100)[o - 1] for p, at, o, ok in claims if p == person and ok
                  and at.date() < SNAPSHOT]  # fmt: skip
        assert row["monetary"] == sum(points)
        assert row["modules_completed"] == (1 if module_days[person] else 0)
        assert row["login_days"] == len(set(login_days[person]))
        last = max(login_days[person], default=None)
        assert row["last_login_days"] == (None if last is None else (SNAPSHOT - last).days)
        assert row["region"] == "Kánò"
    segments = table(tmp_path, "mysql", "customer_segments")
    assert len(segments) == len(rows)
    assert {row["region"] for row in segments} == {"Kánò"}
    assert all("modules_completed" in row and row["cluster_segment"] for row in segments)


# One program after the other in one process: a JVM of its own takes long.
WITH_BOTH_DRIVERS = """
import os, sys
from rfm_spark.cli import main

arguments = sys.argv[1:]
assert main(arguments) == 0
os.environ["MYSQL_URL"] = os.environ["MARIADB_URL"]
assert main([*arguments, "--set", "store=./mariadb/warehouse"]) == 0
"""


@pytest.mark.release
def test_times_do_not_depend_on_the_time_zone_of_the_machine(app, tmp_path) -> None:
    """A claim's datetime is wall clock; a login's timestamp is an instant."""
    database, claims, _, logins = app
    environment = settings(database, "MYSQL", tmp_path) | {"TZ": "America/New_York"}
    environment["MARIADB_URL"] = database.url.replace("jdbc:mysql", "jdbc:mariadb")
    config = tmp_path / "rfm.yaml"
    config.write_text(
        """
        store: ./mysql/warehouse
        timezone: Africa/Lagos
        sources:
          transactions: &source
            format: jdbc
            url: ${MYSQL_URL}
            query: SELECT user_id, claimed_at FROM objective_claims
            properties: {user: "${MYSQL_USER}", password: "${MYSQL_PASSWORD}"}
            columns: {customer_id: user_id, transaction_ts: claimed_at, amount: "1"}
          balances:
            <<: *source
            query: SELECT user_id, logged_in_at FROM logins
            kind: flow
            columns: {customer_id: user_id, balance_date: logged_in_at, balance: "1"}
        """
    )
    arguments = ("ingest", "--to", "2024-02-20", "--config", str(config))
    start(sys.executable, "-c", WITH_BOTH_DRIVERS, *arguments, **environment)
    bought = Counter((person, at.date()) for person, at, _, _ in claims)
    hour = timedelta(hours=1)
    logged_in = Counter((person, (at + hour).date()) for person, at in logins)
    for driver in ("mysql", "mariadb"):
        daily = table(tmp_path, driver, "customer_daily")
        lines = {(row["customer_id"], row["activity_date"]): row["lines"] for row in daily}
        assert lines == bought, driver
        balances = table(tmp_path, driver, "balance_daily")
        movements = {(row["customer_id"], row["balance_date"]): row["movement"] for row in balances}
        assert movements == logged_in, driver


def test_what_a_database_refuses_is_said_in_one_paragraph(
    spark, app, tmp_path, monkeypatch, capsys
) -> None:
    from rfm_spark.cli import main

    for name, value in settings(app[0], "MYSQL", tmp_path).items():
        monkeypatch.setenv(name, value)
    run = ["ingest", "--to", "2024-01-31", "--config", str(CONF / "mysql_example.yaml"), "--set"]
    wrong = "sources.transactions.properties.password=wrong"
    assert main([*run, wrong]) == 2
    message = capsys.readouterr().err
    assert "does not answer, or refuses user and password" in message
    assert "wrong" not in message
    assert main([*run, "sources.transactions.query=SELECT nope FROM users"]) == 2
    assert "Unknown column 'nope'" in capsys.readouterr().err


def test_logins_and_the_current_mrr_come_from_postgresql(spark, tmp_path, monkeypatch) -> None:
    from rfm_spark.cli import main

    needs("initdb")
    logins = moments(4, 9)
    changes = [(person, at, f"{person}.50") for person, at in moments(5, 3)]
    changes = list({(person, at): (person, at, mrr) for person, at, mrr in changes}.values())
    changes = [(person, at, n + 0.25) for n, (person, at, _) in enumerate(changes)]
    with postgresql() as database:
        database.run(
            """
            CREATE TABLE accounts (id bigint PRIMARY KEY, created_at date, plan text);
            CREATE TABLE logins (account_id bigint, logged_in_at timestamptz);
            CREATE TABLE subscription_changes (account_id bigint, changed_at timestamp,
                mrr numeric(10, 2));
            """
            + f"INSERT INTO accounts VALUES {values([(n, '2023-12-01', 'pro') for n in PEOPLE])};"
            + f"INSERT INTO logins VALUES {values([(p, f'{at}+00') for p, at in logins])};"
            + f"INSERT INTO subscription_changes VALUES {values(changes)};"
        )
        for name, value in settings(database, "POSTGRES", tmp_path).items():
            monkeypatch.setenv(name, value)
        arguments = ["--config", str(CONF / "saas_example.yaml"), "--snapshot-date", str(SNAPSHOT)]
        assert main(["run", *arguments]) == 0
    login_days = days_of(logins, timedelta(hours=1))
    rows = {row["customer_id"]: row for row in table(tmp_path, "saas", "customer_segments")}
    assert set(rows) == set(PEOPLE)
    for person, row in rows.items():
        assert row["active_days"] == len(set(login_days[person]))
        own = [(at, mrr) for p, at, mrr in changes if p == person and at.date() < SNAPSHOT]
        assert float(row["mrr"]) == (max(own)[1] if own else 0)
        assert row["plan"] == "pro"
        if not login_days[person]:
            assert row["rfm_segment"] == "No purchase"
