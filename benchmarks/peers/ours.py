"""Ours as ways: embedded (the service with its worker, SQLite), and Celery on Redis and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.load import wish
from benchmarks.peers.attempt import Attempt, Start, Way
from benchmarks.peers.scene import Scene
from benchmarks.production import servers, working
from benchmarks.service import Api, serving
from benchmarks.watch import ended
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import ChunkState

ASK_EVERY_SECONDS = 0.25


@contextmanager
def embedded(scene: Scene) -> Iterator[Start]:
    """`python -m app serve`, with nothing configured but the two providers."""
    data = scene.folder / "service" / "data"

    @contextmanager
    def start() -> Iterator[Attempt]:
        with serving(scene.folder / "service", scene.table.parent, scene.ours()) as service:
            yield Ours(scene, service, [service.worker], f"sqlite:///{data}/ledger.db")

    yield start


def celery(processes: int) -> Way:
    """One Celery worker of so many processes; Redis and PostgreSQL outlive a kill."""

    @contextmanager
    def way(scene: Scene) -> Iterator[Start]:
        folder, tables = scene.folder / "service", scene.table.parent
        with servers(scene.folder) as beneath:
            settings = {**beneath, **scene.ours()}

            @contextmanager
            def start() -> Iterator[Attempt]:
                with working(folder, tables, settings, processes=processes) as (api, workers):
                    yield Ours(scene, api, workers, settings["LEDGER_URL"])

            yield start

    return way


@dataclass(slots=True)
class Ours:
    """A task of the service. `workers` are process ids, `ledger` the URL of its ledger."""

    scene: Scene
    api: Api
    workers: list[int]
    ledger: str
    _task_id: str = field(default="", init=False)
    _over: bool = field(default=False, init=False)
    _asked_at: float = field(default=-math.inf, init=False)

    def begin(self) -> None:
        """Submit the table, unless the ledger has the task already."""
        known = json.loads(self.api.caller.get("/api/v1/tasks"))["tasks"]
        self._task_id = known[0]["task_id"] if known else self.api.submit(**wish(self.scene.table))

    def over(self) -> bool:
        """By the API's latest answer. Each costs the service, and nobody asks for twenty a second."""
        now = time.perf_counter()
        if now - self._asked_at >= ASK_EVERY_SECONDS:
            status = self.api.status(self._task_id)
            self._over, self._asked_at = ended(status) or status["status"] == "paused", now
        return self._over

    def ending(self) -> str:
        status = str(self.api.status(self._task_id)["status"])
        return "complete" if status == "completed" else status

    def processes(self) -> list[int]:
        return [*self.workers, self.api.api]

    def in_flight(self) -> int | None:
        return asyncio.run(_claimed(self.ledger, self._task_id))

    def kill(self) -> None:
        """The process groups of the workers and of the API."""
        self.api.caller.close()
        for group in {os.getpgid(process) for process in self.processes()}:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


async def _claimed(url: str, task_id: str) -> int:
    ledger = SqlLedger.open(url, {})
    await ledger.ready()
    chunks = await ledger.chunks(task_id, state=ChunkState.CLAIMED)
    await ledger.close()
    return sum(chunk.plan.rows for chunk in chunks)
