"""Rows a second over the life of a task, in as many steps as a chart has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STEPS = 90
COMMITS_A_STEP = 3
"""So many at least, on average: rows come a chunk at a time, and a step without one is no standstill."""
RECENT = 10.0
"""Seconds that count as now."""


@dataclass(frozen=True, slots=True)
class Commit:
    """So many rows landed at that time, in seconds since the epoch."""

    at: float
    rows: float


@dataclass(frozen=True, slots=True)
class Pace:
    """`points` are the middle of each step, in seconds since the beginning, and its rows a second."""

    points: tuple[tuple[float, float], ...] = ()
    every: float = 1.0
    now: float | None = None


def pace_of(commits: Sequence[Commit], began: float | None, until: float, is_over: bool) -> Pace:
    """From the beginning of the task until its end, or now."""
    if began is None or until <= began or not commits:
        return Pace()
    steps = max(1, min(STEPS, len(commits) // COMMITS_A_STEP, int(until - began)))
    every = (until - began) / steps
    rows = [0.0] * steps
    for commit in commits:
        rows[min(steps - 1, max(0, int((commit.at - began) / every)))] += commit.rows
    points = tuple(
        (round((step + 0.5) * every, 1), round(count / every, 1)) for step, count in enumerate(rows)
    )
    return Pace(points, round(every, 1), None if is_over else _recent(commits, began, until))


def _recent(commits: Sequence[Commit], began: float, until: float) -> float:
    since = max(began, until - RECENT)
    return sum(commit.rows for commit in commits if commit.at > since) / max(until - since, 1.0)
