"""Dirty sources through the commands: every row is counted, kept or refused, and none is lost."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

CONFIG = """
    store: ./warehouse
    timezone: UTC
    max_rejected_share: 1
    sources:
      transactions:
        format: csv
        path: ./log
        options: {header: true}
        columns:
         {customer_id: user, transaction_ts: at, amount: paid, order_id: basket, transaction_id: id}
"""
DAY = date(2024, 1, 5)


def write(project, text: str | bytes, name: str = "part-1.csv") -> Path:
    file = project.folder / "log" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def refusal(project, capsys, *arguments: str) -> tuple[int, str]:
    status = project.rfm(*arguments)
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert "\tat " not in message
    return status, message


def report(project, spark) -> dict[tuple[date | None, str], tuple[int, Decimal]]:
    rows = project.table(spark, "ingest_report").where("measure NOT LIKE 'empty%'").collect()
    return {(r["activity_date"], r["measure"]): (r["rows"], r["amount"]) for r in rows}


def test_broken_csv_is_counted_and_kept_as_it_is(project, spark) -> None:
    lines = [
        "user,at,paid,basket,id",
        "plain,2024-01-05,1.00,o,1",
        " with spaces ,2024-01-05,2.00,o,2",
        "😀 emoji,2024-01-05,3.00,o,3",
        '"quoted, comma",2024-01-05,4.00,o,4',
        "semicolons;2024-01-05;5.00;o;5",
        "too,2024-01-05,few",
        "too,2024-01-05,6.00,o,6,many",
        '"open quote,2024-01-05,7.00,o,7',
        'wrong"quote,2024-01-05,8.00,o,8',
        "format,05/01/2024,1,o,9",
        "format,05.01.2024,1,o,10",
        "format,Jan 5 2024,1,o,11",
        "format,20240105,1,o,12",
        "format,1704412800,1,o,13",
        "amount,2024-01-05,NaN,o,14",
        "amount,2024-01-05,1e400,o,15",
        "amount,2024-01-05,-Infinity,o,16",
        "amount,2024-01-05,,o,17",
        ",2024-01-05,1,o,18",
        "undated,,1,o,19",
    ]
    write(project, "\ufeff" + "\n".join(lines) + "\n")
    project.configure(CONFIG)
    assert project.rfm("ingest", "--from", str(DAY), "--to", str(DAY)) == 0
    customers = project.rows(spark, "customer_daily", "customer_id", "purchase_amount")
    assert customers == [
        (" with spaces ", Decimal("2.00")),
        ("plain", Decimal("1.00")),
        ("quoted, comma", Decimal("4.00")),
        ('wrong"quote', Decimal("8.00")),
        ("😀 emoji", Decimal("3.00")),
    ]
    rejects = project.table(spark, "rejected_transactions").collect()
    assert Counter(row["reason"] for row in rejects) == {
        "malformed": 4,
        "bad_timestamp": 5,
        "bad_amount": 3,
        "missing_amount": 1,
        "missing_customer_id": 1,
        "missing_timestamp": 1,
    }
    assert {row["raw_row"] for row in rejects if row["reason"] == "malformed"} == set(lines[5:9])
    texts = {row["transaction_ts"] for row in rejects if row["reason"] == "bad_timestamp"}
    assert texts == {line.split(",")[1] for line in lines[10:15]}
    assert {row["amount"] for row in rejects if row["reason"] == "bad_amount"} == {
        "NaN",
        "1e400",
        "-Infinity",
    }
    counts = Counter()
    for (_, measure), (rows, _) in report(project, spark).items():
        counts[measure] += rows
    assert counts.pop("read") == len(lines) - 1
    assert sum(counts.values()) == len(lines) - 1


def test_a_filter_does_not_lose_rows_that_do_not_parse(project, spark) -> None:
    write(project, "user,at,paid,basket,id\na,2024-01-05,1,o,1\nb,2024-01-05\nc,2024-01-05,2,x,3\n")
    project.configure(CONFIG)
    where = ("--set", "sources.transactions.where=basket = 'o'")
    assert project.rfm("ingest", "--from", str(DAY), "--to", str(DAY), *where) == 0
    assert project.rows(spark, "customer_daily", "customer_id") == [("a",)]
    assert project.rows(spark, "rejected_transactions", "raw_row") == [("b,2024-01-05",)]


def test_rows_that_do_not_parse_keep_the_day_of_their_folder(project, spark) -> None:
    header = "user,at,paid,basket,id\n"
    write(project, header + "a,2024-01-05,1,o,1\nTOTAL\n", "dt=2024-01-05/part.csv")
    write(project, header + "b,2024-01-06,1,o,2\nTOTAL\n", "dt=2024-01-06/part.csv")
    project.configure(CONFIG.replace("columns:", "log_date: dt\n        columns:"))
    for _ in range(2):
        assert project.rfm("ingest", "--from", str(DAY), "--to", str(DAY)) == 0
    assert project.rows(spark, "rejected_transactions", "raw_row", "log_date") == [("TOTAL", DAY)]
    where = ("--set", "sources.transactions.where=dt = '2024-01-06'", "--set", "store=./other/")
    assert project.rfm("ingest", "--to", "2024-01-06", *where) == 0
    rejects = project.rows(spark, "rejected_transactions", "log_date", store="other")
    assert rejects == [(DAY + timedelta(days=1),)]


def test_a_log_date_that_is_no_date_rejects_the_row_and_not_the_log(project, spark) -> None:
    write(project, "user,at,paid,basket,id\na,2024-01-05,1,o,1\nTOTAL\nb,5.1.2024,1,o,2\n")
    project.configure(CONFIG.replace("columns:", "log_date: at\n        columns:"))
    assert project.rfm("ingest", "--from", str(DAY), "--to", str(DAY)) == 0
    reasons = sorted(row[0] for row in project.rows(spark, "rejected_transactions", "reason"))
    assert reasons == ["bad_timestamp", "malformed"]


def test_a_day_of_nothing_but_broken_rows_is_not_in(project, spark) -> None:
    """Regression: what arrived later for that day was never read."""
    write(project, "user,at,paid,basket,id\na,2024-01-05,1,o,1\n", "dt=2024-01-05/part.csv")
    write(project, "user,at,paid,basket,id\nbroken\n", "dt=2024-01-06/part.csv")
    project.configure(CONFIG.replace("columns:", "log_date: dt\n        columns:"))
    assert project.rfm("ingest", "--to", "2024-01-06") == 0
    rest = "user,at,paid,basket,id\nbroken\nb,2024-01-06,2,o,2\n"
    write(project, rest, "dt=2024-01-06/part.csv")
    assert project.rfm("ingest", "--to", "2024-01-06") == 0
    assert project.rows(spark, "customer_daily", "customer_id") == [("a",), ("b",)]


def test_undated_rows_that_are_known_do_not_count_against_a_later_batch(project, capsys) -> None:
    old = "".join(f"a,2024-01-{day:02},1,o,{day}\n" for day in range(1, 21)) + "a,?,1,o,99\n" * 2
    write(project, "user,at,paid,basket,id\n" + old)
    project.configure(CONFIG.replace("max_rejected_share: 1", "max_rejected_share: 0.1"))
    assert project.rfm("ingest", "--to", "2024-01-20") == 0
    write(project, "user,at,paid,basket,id\n" + old + "a,2024-01-21,1,o,21\n")
    assert project.rfm("ingest", "--to", "2024-01-21") == 0
    write(project, "user,at,paid,basket,id\n" + old + "a,2024-01-22,1,o,22\nb,?,1,o,98\n")
    capsys.readouterr()
    assert project.rfm("ingest", "--from", "2024-01-22", "--to", "2024-01-22") == 3
    assert "1 of 2 rows (50.0%)" in capsys.readouterr().err


def test_json_that_does_not_parse_is_kept(project, spark) -> None:
    rows = [{"user": "a", "at": "2024-01-05", "paid": 1.5, "basket": "o", "id": "1"}]
    text = "\n".join([json.dumps(rows[0]), '{"user": "b", ', "[1, 2]", "null text"])
    write(project, text, "part.json")
    project.configure(CONFIG.replace("csv", "json").replace("{header: true}", "{}"))
    assert project.rfm("ingest", "--from", str(DAY), "--to", str(DAY)) == 0
    assert project.rows(spark, "customer_daily", "purchase_amount") == [(Decimal("1.50"),)]
    kept = [row[0] for row in project.rows(spark, "rejected_transactions", "raw_row")]
    assert sorted(kept) == ["[1, 2]", "null text", '{"user": "b", ']


def test_headers_in_another_order_are_refused_with_the_file(project, capsys) -> None:
    write(project, "user,at,paid,basket,id\na,2024-01-05,1,o,1\n")
    write(project, "at,user,paid,basket,id\n2024-01-05,b,2,o,2\n", "part-2.csv")
    project.configure(CONFIG)
    status, message = refusal(project, capsys, "ingest", "--to", str(DAY))
    assert status == 3
    assert "header" in message
    assert ".csv" in message


def test_a_truncated_parquet_file_is_named(project, capsys, tmp_path) -> None:
    frame = pd.DataFrame({"user": ["a"] * 500, "at": "2024-01-05", "paid": "1.0"})
    for name in ("a.parquet", "b.parquet"):
        write(project, frame.to_parquet(), name)
    whole = (project.folder / "log" / "b.parquet").read_bytes()
    write(project, whole[: len(whole) // 2], "b.parquet")
    parquet = CONFIG.replace("csv", "parquet").replace("{header: true}", "{}")
    project.configure(parquet.replace(", order_id: basket, transaction_id: id", ""))
    status, message = refusal(project, capsys, "ingest", "--to", str(DAY))
    assert status == 3
    assert "b.parquet" in message


def test_nanoseconds_in_parquet_end_with_the_column_and_a_remedy(project, capsys) -> None:
    times = pd.to_datetime(["2024-01-05 10:00:00.123456789"])
    frame = pd.DataFrame({"user": ["a"], "at": times, "paid": ["1.0"], "n": [5]})
    write(project, frame.to_parquet(version="2.6"), "a.parquet")
    parquet = CONFIG.replace("csv", "parquet").replace("{header: true}", "{}")
    project.configure(parquet.replace(", order_id: basket, transaction_id: id", ""))
    status, message = refusal(project, capsys, "ingest", "--to", str(DAY))
    assert status == 3
    assert "the column at of" in message
    assert "coerce_timestamps='us'" in message


@pytest.mark.parametrize(
    ("column", "expression", "value"),
    [
        ("amount", "cast(paid AS decimal(10,2)) / 0 + 1", None),
        ("amount", "cast(paid AS int)", "'x1'"),
        ("customer_id", "cast(user AS bigint)", "'a'"),
        ("order_id", "1 / (length(basket) - 1)", "basket = 'o'"),
        ("transaction_ts", "date_add(date'2024-01-01', cast(id AS int) * 1000000000)", None),
    ],
)
def test_an_expression_that_throws_is_named_with_its_value(
    project, spark, capsys, column, expression, value
) -> None:
    write(project, "user,at,paid,basket,id\na,2024-01-05,x1,o,5\n")
    project.configure(CONFIG)
    setting = f"sources.transactions.columns.{column}={json.dumps(expression)}"
    status, message = refusal(project, capsys, "ingest", "--to", str(DAY), "--set", setting)
    assert status == 3, message
    assert f"sources.transactions.columns.{column}: the expression {expression!r}" in message
    assert value is None or f"fails on {value}" in message
    assert not (project.folder / "warehouse" / "customer_daily").exists()


@pytest.mark.parametrize(
    "option", ["mode: DROPMALFORMED", "ignoreCorruptFiles: true", "badRecordsPath: /tmp/x"]
)
def test_options_that_lose_rows_are_refused(project, capsys, option) -> None:
    project.configure(CONFIG.replace("{header: true}", f"{{{option}}}"))
    status, message = refusal(project, capsys, "check")
    assert status == 2
    assert "would lose rows without a trace" in message


class Dirt:
    """A generated log that knows where each of its rows must go."""

    def __init__(self, seed: int, rows: int = 400) -> None:
        self.draw = random.Random(seed)
        self.lines = ["user,at,paid,basket,id"]
        self.expected: dict[tuple[date | None, str], list[Decimal]] = defaultdict(list)
        self.exact: dict[date | None, Decimal] = defaultdict(Decimal)
        for n in range(rows):
            self._row(n)
        body = self.lines[1:]
        self.draw.shuffle(body)
        self.lines[1:] = body

    def _row(self, n: int) -> None:
        day = DAY + timedelta(days=self.draw.randint(0, 6))
        exact = Decimal(self.draw.randint(-50_000, 90_000)) / 1000
        amount = Decimal(int(abs(exact) * 100 + Decimal("0.5"))).copy_sign(exact) / 100
        cells = [
            f"c{self.draw.randint(0, 20)}",
            f"{day}T12:00:00",
            f"{exact}",
            f"o{n % 50}",
            str(n),
        ]
        kind = self.draw.choice(["fine"] * 8 + list(KINDS))
        reason, dated, has_money = KINDS.get(kind, (None, True, True))
        where = day if dated else None
        money = amount if has_money else Decimal(0)
        if kind in BREAKS:
            place, text = BREAKS[kind]
            cells[place] = text
        if kind == "malformed":
            cells = cells[:3]
        self._add(cells, where, reason or "accepted", money, exact if has_money else Decimal(0))
        if kind == "twice":
            self._add(cells, where, "duplicate", money, exact)
        elif kind == "corrected":  # an earlier version of the row, with other money
            cells = [cells[0], f"{day}T11:00:00", "7.77", *cells[3:]]
            self._add(cells, where, "duplicate_conflicting", Decimal("7.77"), Decimal("7.77"))

    def _add(self, cells, day, measure: str, money: Decimal, exact: Decimal) -> None:
        self.lines.append(",".join(cells))
        self.expected[day, measure].append(money)
        self.expected[day, "read"].append(money)
        self.exact[day] += exact


KINDS = {
    "twice": (None, True, True),
    "corrected": (None, True, True),
    "nobody": ("missing_customer_id", True, True),
    "undated": ("missing_timestamp", False, True),
    "misdated": ("bad_timestamp", False, True),
    "unpaid": ("missing_amount", True, False),
    "mispaid": ("bad_amount", True, False),
    "malformed": ("malformed", False, False),
}
BREAKS = {
    "nobody": (0, " "),
    "undated": (1, ""),
    "misdated": (1, "5.1.2024"),
    "unpaid": (2, ""),
    "mispaid": (2, "1e99"),
}


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.release) for seed in (2, 3))]
)
def test_rows_and_money_are_conserved_from_the_log_to_the_features(project, spark, seed) -> None:
    dirt = Dirt(seed)
    write(project, "\n".join(dirt.lines))
    project.configure(CONFIG)
    last = DAY + timedelta(days=6)
    assert project.rfm("ingest", "--from", str(DAY), "--to", str(last)) == 0
    found = report(project, spark)
    measures = {key: value for key, value in found.items() if key[1] != "rounding"}
    assert measures == {key: (len(rows), sum(rows)) for key, rows in dirt.expected.items()}
    rounding = project.table(spark, "ingest_report").where("measure = 'rounding'").collect()
    differences = {row["activity_date"]: row["exact_amount"] for row in rounding}
    for day in {key[0] for key in measures}:
        assert measures[day, "read"][1] - differences.get(day, 0) == dirt.exact[day]
    daily = project.table(spark, "customer_daily")
    kept = {key[0]: value for key, value in measures.items() if key[1] == "accepted"}
    sums = "sum(lines + refund_lines)", "sum(purchase_amount + refund_amount)"
    stored = daily.groupBy("activity_date").agg(*map(_expression, sums)).collect()
    assert {row[0]: (row[1], row[2]) for row in stored} == kept
    rejected = sum(n for (_, name), (n, _) in measures.items() if name in REASONS)
    assert project.table(spark, "rejected_transactions").count() == rejected
    if seed == 1:
        snapshot = str(last + timedelta(days=1))
        assert project.rfm("features", "--snapshot-date", snapshot) == 0
        total = project.table(spark, "customer_features").selectExpr("sum(monetary)").first()[0]
        assert total == sum(money for _, money in kept.values())


REASONS = {reason for reason, _, _ in KINDS.values() if reason}


def _expression(sql: str):
    from pyspark.sql import functions as F

    return F.expr(sql)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([(0, 0), (1, 5), (6, 6)], marks=pytest.mark.slow),
        pytest.param([(n, n) for n in range(7)], marks=pytest.mark.release),
    ],
)
def test_in_one_range_in_halves_in_parts_or_twice_gives_equal_tables(project, spark, parts) -> None:
    dirt = Dirt(9, rows=150)
    write(project, "\n".join(dirt.lines))
    project.configure(CONFIG)
    days = [str(DAY + timedelta(days=n)) for n in range(7)]
    names = ("customer_daily", "ingest_report", "rejected_transactions")
    ways = {
        "whole": [(days[0], days[-1])],
        "halves": [(days[3], days[-1]), (days[0], days[2])],
        "parts": [(days[first], days[last]) for first, last in parts],
        "twice": [(days[0], days[-1])] * 2,
    }
    tables = {}
    for way, ranges in ways.items():
        if way == "parts":  # other files, other partitions
            write(project, "\n".join(dirt.lines[:1] + dirt.lines[:0:-2]))
            write(project, "\n".join(dirt.lines[:1] + dirt.lines[-2:0:-2]), "part-2.csv")
        for first, last in ranges:
            store = ("--set", f"store=./{way}/")
            assert project.rfm("ingest", "--from", first, "--to", last, *store) == 0
        tables[way] = {name: project.rows(spark, name, store=way) for name in names}
    for way, found in tables.items():
        assert found == tables["whole"], way


def test_a_late_timestamp_is_a_row_of_its_business_day(project, spark) -> None:
    """Daylight saving in Berlin ends on 2024-10-27: that day has 25 hours."""
    write(
        project,
        "user,at,paid,basket,id\n"
        "a,2024-10-26T21:59:59Z,1,o,1\na,2024-10-26T22:00:00Z,2,o,2\n"
        "a,2024-10-27T22:59:59Z,4,o,3\na,2024-10-27T23:00:00Z,8,o,4\n",
    )
    project.configure(CONFIG.replace("UTC", "Europe/Berlin"))
    assert project.rfm("ingest", "--to", "2024-10-28") == 0
    assert project.rows(spark, "customer_daily", "activity_date", "purchase_amount") == [
        (date(2024, 10, 26), Decimal("1.00")),
        (date(2024, 10, 27), Decimal("6.00")),
        (date(2024, 10, 28), Decimal("8.00")),
    ]
