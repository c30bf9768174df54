"""The date window: both ends inclusive, days whole, zones respected, nothing guessed."""

import pytest

from rowvec.dates import DateWindow
from rowvec.errors import InvalidRequest

INSIDE = [
    ("2024-01-01", None, "2024-01-01", True),
    ("2024-01-01", None, "2023-12-31T23:59:59.999999Z", False),
    ("2024-01-01", None, "2024-01-01T00:00:00+01:00", False),
    ("2024-01-01", None, "2023-12-31T23:30:00-01:00", True),
    (None, "2024-01-31", "2024-01-31T23:59:59.999999", True),
    (None, "2024-01-31", "2024-02-01", False),
    (None, "2024-01-31", "2024-02-01T00:00:00", False),
    (None, "2024-01-31T10:00:00", "2024-01-31T10:00:00", True),
    (None, "2024-01-31T10:00:00", "2024-01-31T10:00:00.000001", False),
    ("2024-01-31T10:00:00", None, "2024-01-31", True),
    ("2024-01-31", "2024-01-31", " 20240131 ", True),
    ("2024-01-31", "2024-01-31", "2024-01-31 08:00", True),
    ("2024-01-31", "2024-01-31", "2024-01-31t08:00:00z", True),
    (None, "9999-12-31", "9999-12-31T23:59:59-12:00", False),
    ("0001-01-01", None, "0001-01-01T00:00:00", True),
    (None, None, "2024-01-31", True),
]


@pytest.mark.parametrize(("start", "end", "value", "inside"), INSIDE)
def test_what_lies_inside(start: str | None, end: str | None, value: str, inside: bool) -> None:
    """Bounds are inclusive, a bare date is its whole day, no zone means UTC."""
    assert DateWindow(start, end, None).contains(value) is inside


UNREADABLE = ["", "1", "n/a", "01/02/2024", "2024-13-01", "2024-02-30", "2024", "2024-W05", "yesterday",
              "1706659200", "2024-01-31x10:00", "2024-01-31T", "2024-0131", "٢٠٢٤-01-31"]  # fmt: skip


@pytest.mark.parametrize("value", UNREADABLE)
def test_what_cannot_be_read_is_said(value: str) -> None:
    """What is not ISO 8601 is never guessed at: it raises, quoting the value."""
    with pytest.raises(ValueError, match="ISO 8601") as unreadable:
        DateWindow("2024-01-01", None, None).contains(value)
    assert repr(value) in str(unreadable.value)


def test_a_format_of_ones_own() -> None:
    """With date_format values are read by it alone; without a time in it they are whole days."""
    days = DateWindow("2024-01-31T12:00:00", "2024-02-01", "%d.%m.%Y")
    assert days.contains("31.01.2024") and not days.contains("02.02.2024")
    times = DateWindow("2024-01-31T12:00:00", None, "%d.%m.%Y %H:%M %z")
    assert times.contains("31.01.2024 13:00 +0100") and not times.contains("31.01.2024 12:59 +0100")
    with pytest.raises(ValueError, match=r"'2024-01-31' is no date of the form '%d\.%m\.%Y'"):
        days.contains("2024-01-31")


WRONG = [
    ("1", None, None, "start_date"),
    (None, "31.01.2024", "%d.%m.%Y", "end_date"),
    ("2024-02-01", "2024-01-31", None, "start_date"),
    ("2024-01-31T00:00:01", "2024-01-31T00:00:00", None, "start_date"),
    (None, None, "%Q", "date_format"),
    (None, None, "%H:%M", "date_format"),
    (None, None, "%Y-%m", "date_format"),
    (None, None, "%Y-%m-%d %Y", "date_format"),
    (None, None, "", "date_format"),
]


@pytest.mark.parametrize(("start", "end", "date_format", "field"), WRONG)
def test_wrong_bounds_are_refused(
    start: str | None, end: str | None, date_format: str | None, field: str
) -> None:
    """Bounds or a format that cannot work are refused before the task begins, naming the field."""
    with pytest.raises(InvalidRequest) as refused:
        DateWindow(start, end, date_format)
    assert refused.value.field == field


def test_one_day_is_a_window() -> None:
    """The same bare date at both ends is a window of that day."""
    assert DateWindow("2024-01-31", "2024-01-31", None).contains("2024-01-31T12:00:00Z")
