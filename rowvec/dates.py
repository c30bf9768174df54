"""The date window: which rows lie between two dates. ISO 8601 or a given format, never a guess."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time

from rowvec.errors import InvalidRequest

_ISO = re.compile(r"\d{4}(-?)\d\d\1\d\d(?:[Tt ]\d\d.*)?", re.ASCII)
_PROBE = datetime(2001, 2, 3, 16, 5, 6)
_LAST = time(23, 59, 59, 999999)

Span = tuple[datetime, datetime]


class DateWindow:
    """From `start_date` to `end_date`, both inclusive, each None for no bound.

    A bare date is its whole day, no zone means UTC. The bounds are ISO 8601; values are, too, unless a
    `date_format` (as strptime takes it) is given. A value that is a whole day is inside when any part of
    it is. Raises InvalidRequest, naming the field, for what cannot be read and for a start after the end.
    """

    def __init__(self, start_date: str | None, end_date: str | None, date_format: str | None) -> None:
        self._format = date_format
        self._has_time = date_format is not None and _check_format(date_format)
        self._start = _bound(start_date, "start_date")[0] if start_date else None
        self._end = _bound(end_date, "end_date")[1] if end_date else None
        if self._start and self._end and self._start > self._end:
            raise InvalidRequest(f"start_date {start_date} is after end_date {end_date}.", "start_date")

    def contains(self, value: str) -> bool:
        """Whether the date lies in the window. Raises ValueError, in words, where it cannot be read."""
        first, last = self._span(value.strip())
        return (self._start is None or last >= self._start) and (self._end is None or first <= self._end)

    def _span(self, value: str) -> Span:
        if self._format is None:
            return _iso(value)
        try:
            moment = datetime.strptime(value, self._format)
        except ValueError as error:
            raise ValueError(f"{value[:80]!r} is no date of the form {self._format!r}") from error
        return _moment(moment) if self._has_time else _day(moment.date())


def _iso(text: str) -> Span:
    """First and last instant of an ISO 8601 date or time."""
    try:
        if not _ISO.fullmatch(text):
            raise ValueError("not of the form 2024-01-31 or 2024-01-31T08:00:00Z")
        if len(text) <= len("2024-01-31"):
            return _day(date.fromisoformat(text))
        return _moment(datetime.fromisoformat(text.upper()))
    except ValueError as error:
        raise ValueError(f"{text[:80]!r} is no date in ISO 8601: {error}") from error


def _day(day: date) -> Span:
    return datetime.combine(day, time(), UTC), datetime.combine(day, _LAST, UTC)


def _moment(moment: datetime) -> Span:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware, aware


def _bound(text: str, name: str) -> Span:
    try:
        return _iso(text.strip())
    except ValueError as error:
        raise InvalidRequest(
            f"{name}: {error}. Write it as 2024-01-31 or 2024-01-31T08:00:00Z.", name
        ) from error


def _check_format(date_format: str) -> bool:
    """Whether the format has a time of day. Raises InvalidRequest unless it gives year, month and day."""
    try:
        read = datetime.strptime(_PROBE.replace(tzinfo=UTC).strftime(date_format), date_format)
    except (ValueError, re.error) as error:
        raise InvalidRequest(
            f"date_format {date_format!r} cannot be used: {error}.", "date_format"
        ) from error
    if read.date() != _PROBE.date():
        raise InvalidRequest(
            f"date_format {date_format!r} must hold year, month and day, as '%d.%m.%Y' does.", "date_format"
        )
    return read.time() != time()
