"""Which days of a log still have to be read."""

from datetime import date

from rfm_spark.ingest.days import DayRange, missing_ranges


def day(n: int) -> date:
    return date(2024, 1, n)


def test_an_empty_store_starts_where_the_log_starts() -> None:
    assert missing_ranges([], day(9), 3) == [DayRange(None, day(9))]


def test_with_nothing_missing_nothing_is_read() -> None:
    assert missing_ranges([day(1), day(2)], day(2), 3) == []
    assert missing_ranges([day(1), day(2), day(3)], day(2), 3) == []


def test_new_days_come_with_the_days_before_them() -> None:
    known = [day(n) for n in range(1, 8)]
    assert missing_ranges(known, day(8), 3) == [DayRange(day(5), day(8))]
    assert missing_ranges(known, day(8), 0) == [DayRange(day(8), day(8))]


def test_days_before_the_first_ingested_one_are_not_asked_for() -> None:
    assert missing_ranges([day(5)], day(6), 3) == [DayRange(day(5), day(6))]


def test_ranges_that_touch_become_one() -> None:
    known = [day(n) for n in (1, 2, 3, 10, 11, 20)]
    assert missing_ranges(known, day(20), 2) == [DayRange(day(2), day(19))]


def test_gaps_far_apart_are_read_apart_and_the_oldest_first() -> None:
    known = [day(n) for n in (1, 2, 3, 10, 11, 12, 13, 14, 20)]
    assert missing_ranges(known, day(20), 2) == [
        DayRange(day(2), day(9)),
        DayRange(day(13), day(19)),
    ]
