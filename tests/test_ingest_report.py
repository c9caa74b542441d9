"""What a report of a source says, after any order of readings; without a store."""

import random
import re
from datetime import date, timedelta
from decimal import Decimal

from rfm_spark.ingest.days import days_between
from rfm_spark.ingest.measures import FORGOTTEN, Tally
from rfm_spark.ingest.report import ENDS, Line, Renewal, Report


def day(n: int) -> date:
    return date(2024, 1, 1) + timedelta(days=n)


def tally_of(days: set[date]) -> Tally:
    """Two rows of 1.50 a day."""
    tally = Tally(dated_days=set(days))
    for one in days:
        for measure in ("read", "accepted"):
            tally.add(one, measure, 2, Decimal("3.00"))
    return tally


def read(report: Report, days: set[date], first: date, last: date) -> tuple[Report, Renewal]:
    tally = tally_of(days)
    renewal = report.renewal(tally, first, last)
    lines = [Line(*record[1:5]) for record in tally.records("transactions")]
    assert all(renewal.replaces(line) for line in lines)  # else Delta refuses them
    return report.renewed(renewal, lines), renewal


def test_any_order_of_readings_leaves_the_days_that_are_in_and_their_rows() -> None:
    draw = random.Random(11)
    for _ in range(300):
        report, days_in, with_rows = Report(), set(), set()
        for _ in range(draw.randint(1, 6)):
            first = day(draw.randint(0, 20))
            last = first + timedelta(days=draw.randint(0, 12))
            rows = {one for one in days_between(first, last) if draw.random() < 0.3}
            report, _ = read(report, rows, first, last)
            # A day without rows is in if a later one has any, in this reading or before.
            outside = {one for one in days_in if not first <= one <= last}
            end = last if any(one > last for one in days_in) else max(rows, default=None)
            days_in = outside | set(days_between(first, end) if end else ())
            with_rows = {one for one in with_rows if not first <= one <= last} | rows
            assert report.days_in() == days_in
            ends = [line for line in report.lines if line.measure in ENDS]
            assert len(set(ends)) == len(ends)
            assert report.accepted(None, day(99)) == (2 * len(with_rows), 3 * len(with_rows))
            assert report.last_accepted_day(day(99)) == max(with_rows, default=None)


def test_a_day_among_empty_ones_moves_their_ends_and_touches_no_other_day() -> None:
    report, renewal = read(Report(), {day(0), day(9)}, day(0), day(9))
    assert (renewal.moved, report.days_in()) == (set(), set(days_between(day(0), day(9))))
    report, renewal = read(report, {day(5)}, day(5), day(5))
    assert renewal.moved == {day(4), day(6)}
    ends = sorted((line.day, line.measure) for line in report.lines if line.measure in ENDS)
    assert ends == [
        (day(1), "empty_from"),
        (day(4), "empty_to"),
        (day(6), "empty_from"),
        (day(8), "empty_to"),
    ]


def test_a_new_day_after_the_others_names_no_partition_but_its_own() -> None:
    report, _ = read(Report(), {day(0), day(4)}, day(0), day(4))
    _, renewal = read(report, {day(4), day(5)}, day(3), day(5))
    assert re.findall(r"DATE'([-\d]+)'", renewal.predicate) == ["2024-01-04", "2024-01-06"]


def test_rows_of_no_day_and_forgotten_ones_are_told_apart() -> None:
    lines = [
        Line(None, "read", 7, Decimal(0)),
        Line(None, "bad_timestamp", 7, Decimal(0)),
        Line(day(1), "read", 5, Decimal(10)),
        Line(day(1), "bad_timestamp", 2, Decimal(0)),
        Line(day(1), "accepted", 3, Decimal(10)),
        Line(day(1), FORGOTTEN, 1, Decimal(4)),
        Line(day(2), "read", 1, Decimal(0)),  # by the log's day alone
        Line(day(2), "malformed", 1, Decimal(0)),
    ]
    report = Report(lines)
    assert report.undated_rows() == 7
    assert report.days_in() == {day(1)}
    assert report.accepted(None, day(2)) == (2, Decimal(6))
    assert report.accepted(day(2), day(3)) == report.accepted(None, day(1)) == (0, Decimal(0))
