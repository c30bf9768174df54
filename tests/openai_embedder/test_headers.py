"""Headers are read as far as they make sense, and otherwise as if they were not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.embedders.openai import headers
from rowvec.rates import Rates

DURATIONS = [
    ("6m0s", 360.0), ("1.5s", 1.5), ("120ms", 0.12), ("1h2m3s", 3723.0), ("1d", 86400.0), ("0s", 0.0),
    ("", None), ("6", None), ("6m 0s", None), ("soon", None), ("-1s", None), ("1e3s", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations(text: str, seconds: float | None) -> None:
    """As OpenAI writes them; None for what is none."""
    assert headers.duration(text) == (None if seconds is None else pytest.approx(seconds))


def test_the_more_exact_header_goes_first() -> None:
    """Milliseconds, then seconds, then a date; then when the budget is full again."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert headers.retry_after({"retry-after-ms": "250", "retry-after": "1"}) == 0.25
    assert headers.retry_after({"retry-after-ms": "soon", "retry-after": "1.5"}) == 1.5
    assert headers.retry_after({"retry-after": soon}) == pytest.approx(30, abs=2)
    assert headers.retry_after({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}) == 0.0
    assert headers.retry_after({}) is None
    reset = {"x-ratelimit-reset-requests": "2s", "x-ratelimit-reset-tokens": "1m0s"}
    assert headers.reset_after(reset, "requests") == 2.0
    assert headers.reset_after(reset, "tokens") == 60.0
    assert headers.reset_after(reset, None) == 60.0
    assert headers.reset_after({}, "tokens") is None


def test_nobody_waits_for_ever() -> None:
    """Whatever is told, one looks again after a quarter of an hour."""
    assert headers.retry_after({"retry-after": "86400"}) == headers.LONGEST
    assert headers.reset_after({"x-ratelimit-reset-tokens": "9d"}, "tokens") == headers.LONGEST


def test_rates_count_by_the_minute() -> None:
    """Requests become requests a second; what is no rate is not known."""
    told = {"x-ratelimit-limit-requests": "3000", "x-ratelimit-limit-tokens": "5000000"}
    assert headers.rates(told) == Rates(50.0, 5e6)
    for nonsense in ("0", "-1", "nan", "inf", "many", ""):
        assert headers.rates(dict.fromkeys(told, nonsense)) == Rates(None, None)


@given(st.text())
def test_nothing_that_is_told_breaks_anything(text: str) -> None:
    """Any text in any header gives a number of seconds in bounds, or None."""
    names = ("retry-after-ms", "retry-after", "x-ratelimit-reset-requests", "x-ratelimit-limit-tokens")
    told = dict.fromkeys(names, text)
    for seconds in (headers.retry_after(told), headers.reset_after(told, "requests")):
        assert seconds is None or 0.0 <= seconds <= headers.LONGEST
    tokens = headers.rates(told).tokens_per_minute
    assert tokens is None or tokens > 0
