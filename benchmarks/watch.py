"""A task followed as a caller follows it, with an eye on the memory of the service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.latency import Latency, Rounds
from benchmarks.process import memory_mb
from benchmarks.service import Service, last_words

A_SECOND = 20.0
"""Questions a second for each path that is asked."""

_LOOK_EVERY_SECONDS = 0.25
_MOMENTS = 240
Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Watched:
    """`latencies` by path; `memory` holds (seconds since the start, MB of the worker, MB of the API)."""

    status: Status
    latencies: dict[str, Latency]
    memory: list[tuple[float, float, float]]


def ended(status: Status) -> bool:
    return status["completed_at"] is not None


def watch(
    service: Service,
    task_id: str,
    until: Callable[[Status], bool] = ended,
    beside: Sequence[str] = (),
    patience: float = 1800.0,
) -> Watched:
    """Ask for the task's status, and for each path of `beside`, until the status is as wanted.

    Raises RuntimeError when the worker dies or the task fails, TimeoutError after `patience` seconds.
    """
    own = f"/api/v1/status/{task_id}"
    watching = _Watching(service, [own, *beside])
    while True:
        status = json.loads(watching.turn()[own])
        if status["status"] in ("failed", "paused"):
            raise RuntimeError(f"the task did not go well: {status}\n{last_words(service.log)}")
        if until(status):
            return watching.seen(status)
        if watching.seconds() > patience:
            raise TimeoutError(f"still so after {patience:.0f} s: {status}")


class _Watching:
    def __init__(self, service: Service, paths: Sequence[str]) -> None:
        self._service = service
        self._samples: dict[str, list[float]] = {path: [] for path in paths}
        self._memory: list[tuple[float, float, float]] = []
        self._rounds = Rounds(A_SECOND * len(paths))
        self._began = time.perf_counter()
        self._look()

    def turn(self) -> dict[str, bytes]:
        """Every path asked once; the answers."""
        answers = {path: self._timed(path) for path in self._samples}
        if self.seconds() - self._memory[-1][0] >= _LOOK_EVERY_SECONDS:
            self._look()
        return answers

    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def seen(self, status: Status) -> Watched:
        self._look()
        latencies = {path: Latency.of(samples) for path, samples in self._samples.items()}
        step = -(-len(self._memory) // _MOMENTS)
        return Watched(status, latencies, self._memory[::step])

    def _timed(self, path: str) -> bytes:
        began = self._rounds.next()
        answer = self._service.caller.get(path)
        self._samples[path].append(1000 * (time.perf_counter() - began))
        return answer

    def _look(self) -> None:
        self._service.must_live()
        api, worker = memory_mb(self._service.api), memory_mb(self._service.worker)
        self._memory.append((round(self.seconds(), 2), round(worker, 1), round(api, 1)))
