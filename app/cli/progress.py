"""A task's progress: a live bar on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from app.api.status import StatusView

OVER = ("completed", "failed", "cancelled", "paused")
"""What a caller sees of a task that goes no further by itself."""

WINDOW = 15.0
"""Seconds over which the speed is measured."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A task at one moment. `done` are rows whose outcome is known; `total` is None until planned."""

    stage: str
    done: int
    total: int | None
    rejected: int
    over: bool

    @classmethod
    def of(cls, view: StatusView) -> Snapshot:
        law = view.conservation
        return cls(
            stage=(view.stage if view.status == "processing" else None) or view.status,
            done=law.read - law.unprocessed,
            total=view.progress.total_records,
            rejected=law.rejected,
            over=view.status in OVER,
        )


class Pace:
    """Rows a second over the last `WINDOW` seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, now: float, rows: int) -> float:
        self._seen.append((now, rows))
        while now - self._seen[0][0] > WINDOW:
            self._seen.popleft()
        began, before = self._seen[0]
        return (rows - before) / (now - began) if now > began else 0.0


def described(snapshot: Snapshot, rate: float) -> str:
    """Rows, speed, time left and rejected rows in words."""
    total = f" of {snapshot.total:,}" if snapshot.total is not None else ""
    parts = [f"{snapshot.stage}: {snapshot.done:,}{total} rows"]
    if rate > 0:
        parts.append(f"{rate:,.0f} rows/s")
    if rate > 0 and snapshot.total is not None and snapshot.done < snapshot.total:
        parts.append(f"{clock((snapshot.total - snapshot.done) / rate)} left")
    if snapshot.rejected:
        parts.append(f"{snapshot.rejected:,} rejected")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as a person says them: `8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Display(ABC):
    """Shows snapshots of one task; used as a context manager so that a terminal is left tidy."""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        return

    @abstractmethod
    def show(self, snapshot: Snapshot) -> None: ...


class Lines(Display):
    """One line when something has changed, at most one a second; the last state is always told."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._pace = Pace()
        self._told: Snapshot | None = None
        self._told_at = float("-inf")

    def show(self, snapshot: Snapshot, now: float | None = None) -> None:
        now = time.monotonic() if now is None else now
        rate = self._pace.rate(now, snapshot.done)
        if snapshot != self._told and (snapshot.over or now - self._told_at >= 1.0):
            self._console.print(described(snapshot, rate))
            self._told, self._told_at = snapshot, now


class Bar(Display):
    """A bar that is drawn over itself."""

    def __init__(self, console: Console) -> None:
        self._pace = Pace()
        self._bar = Progress(BarColumn(), TextColumn("{task.description}"), console=console)
        self._line: TaskID | None = None

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, snapshot: Snapshot) -> None:
        words = described(snapshot, self._pace.rate(time.monotonic(), snapshot.done))
        if self._line is None:
            self._line = self._bar.add_task(words, total=None)
        self._bar.update(self._line, description=words, completed=snapshot.done, total=snapshot.total)


def display(console: Console) -> Display:
    """The bar where there is a terminal, lines elsewhere."""
    return Bar(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)
