"""Calendar steps."""

from datetime import date

import pytest

from rfm_spark.config.steps import Step


@pytest.mark.parametrize(
    ("step", "day", "times", "expected"),
    [
        ("7d", "2024-02-26", 1, "2024-03-04"),
        ("1w", "2024-02-26", 2, "2024-03-11"),
        ("1mo", "2024-01-31", 1, "2024-02-29"),
        ("1mo", "2024-01-31", 2, "2024-03-31"),
        ("3mo", "2023-11-30", 1, "2024-02-29"),
        ("1y", "2024-02-29", 1, "2025-02-28"),
        ("1y", "2024-02-29", 4, "2028-02-29"),
        ("1mo", "2024-03-31", -1, "2024-02-29"),
        ("1mo", "2024-01-15", -1, "2023-12-15"),
        ("1y", "2024-02-29", -1, "2023-02-28"),
        ("2w", "2024-01-01", -1, "2023-12-18"),
    ],
)
def test_a_step_from_a_day(step: str, day: str, times: int, expected: str) -> None:
    found = Step.parse(step).from_day(date.fromisoformat(day), times)
    assert found == date.fromisoformat(expected)


def test_dates_of_a_range_start_at_its_first_and_clip_month_ends_without_drifting() -> None:
    dates = Step.parse("1mo").dates(date(2023, 12, 31), date(2024, 4, 30))
    assert [str(day) for day in dates] == [
        "2023-12-31",
        "2024-01-31",
        "2024-02-29",
        "2024-03-31",
        "2024-04-30",
    ]


def test_a_range_that_its_steps_do_not_meet_ends_before() -> None:
    assert Step.parse("1w").dates(date(2024, 1, 1), date(2024, 1, 10)) == [
        date(2024, 1, 1),
        date(2024, 1, 8),
    ]
    assert Step.parse("1y").dates(date(2024, 1, 1), date(2024, 1, 1)) == [date(2024, 1, 1)]


def test_a_range_that_ends_with_the_calendar_ends() -> None:
    assert Step.parse("1y").dates(date(9998, 1, 1), date.max) == [
        date(9998, 1, 1),
        date(9999, 1, 1),
    ]


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1m", "1 d", "1.5d", "99999d"])
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no calendar step"):
        Step.parse(text)
