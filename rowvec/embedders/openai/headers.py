"""What the headers of an answer tell: how fast one may ask, and when to come back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rowvec.rates import Rates

LONGEST = 15 * 60.0
"""Seconds after which one looks again, whatever was told."""

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|d|h|m|s)")
_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def rates(headers: Mapping[str, str]) -> Rates:
    """`x-ratelimit-limit-requests` and `-tokens`, which count by the minute."""
    requests = _positive(headers.get("x-ratelimit-limit-requests"))
    return Rates(requests and requests / 60, _positive(headers.get("x-ratelimit-limit-tokens")))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, at most LONGEST: from `retry-after-ms`, else from `retry-after` (seconds or a date)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is None and text:
        seconds = _until(text)
    return None if seconds is None else min(seconds, LONGEST)


def reset_after(headers: Mapping[str, str], kind: str | None) -> float | None:
    """Seconds until the budget of that kind (`requests`, `tokens`; else the later of both) is full again."""
    kinds = (kind,) if kind in ("requests", "tokens") else ("requests", "tokens")
    told = [duration(headers.get(f"x-ratelimit-reset-{name}", "")) for name in kinds]
    longest = max((seconds for seconds in told if seconds is not None), default=None)
    return None if longest is None else min(longest, LONGEST)


def duration(text: str) -> float | None:
    """Seconds of `6m0s`, `1.5s` or `120ms`; None for what is none."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _until(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _number(text: str | None) -> float | None:
    """A finite number that is not negative."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _positive(text: str | None) -> float | None:
    return _number(text) or None
