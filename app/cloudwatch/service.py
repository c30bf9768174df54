"""What a process of the API tells: its own answers and memory, and, as one of its host, what the ledger says
of everybody."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from app.cloudwatch.point import Point, points_of
from app.families import budget, queue, workers
from app.lock import take_lock
from rowvec.gauges import gauges
from rowvec.machine import Machine

LOCK = "cloudwatch.lock"


class OfAnswers:
    """How many answers there were, by class of status, and how long each took, by method and route.

    Where they cannot be written the counts are kept for the next time, and the durations are not.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._seconds: dict[tuple[str, str], list[float]] = {}
        self._counts: Counter[str] = Counter()
        self._looked: Counter[str] = Counter()

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        self._seconds.setdefault((method, route), []).append(round(seconds, 6))
        self._counts[f"{status // 100}xx"] += 1

    async def points(self) -> Sequence[Point]:
        taken, self._seconds = self._seconds, {}
        self._looked = Counter(self._counts)
        memory = Point("ApiMemoryBytes", self._process.memory_info().rss)
        counts = [Point("HttpRequests", count, (("status", of),)) for of, count in self._looked.items()]
        seconds = [
            Point("HttpRequestDurationSeconds", values, (("method", method), ("route", route)))
            for (method, route), values in taken.items()
        ]
        return [memory, *counts, *seconds]

    def written(self) -> None:
        self._counts -= self._looked


class OfEverybody:
    """What waits, who works and how much of the limits is in use, as the ledger and all workers' beats say.

    One process of all that share a data folder tells it; of several hosts each does, and tells the same.
    """

    def __init__(self, machine: Machine, data: Path) -> None:
        self._machine = machine
        self._data = data
        self._lock: int | None = None

    async def points(self) -> Sequence[Point]:
        if self._lock is None:
            self._lock = take_lock(self._data, LOCK)
        if self._lock is None:
            return []
        overview, used = await asyncio.gather(self._machine.ledger.overview(), gauges(self._machine))
        families = [*queue(overview), *workers(list(used.workers)), *budget(used.providers)]
        return list(points_of(families))

    def written(self) -> None:
        """Nothing is summed up here."""
