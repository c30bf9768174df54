"""Ours as ways: embedded (the service with its worker, SQLite), and Celery on Redis and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.load import wish
from benchmarks.peers.attempt import Attempt, Start
from benchmarks.peers.scene import Scene
from benchmarks.production import servers, working
from benchmarks.service import Api, serving
from benchmarks.watch import ended
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import ChunkState


@contextmanager
def embedded(scene: Scene) -> Iterator[Start]:
    """`python -m app serve`, with nothing configured but the two providers."""
    data = scene.folder / "service" / "data"

    @contextmanager
    def start() -> Iterator[Attempt]:
        with serving(scene.folder / "service", scene.table.parent, scene.ours()) as service:
            yield Ours(scene, service, [service.worker], f"sqlite:///{data}/ledger.db")

    yield start


@contextmanager
def celery(scene: Scene) -> Iterator[Start]:
    """One Celery worker of one process; Redis and PostgreSQL outlive a kill."""
    with servers(scene.folder) as beneath:
        settings = {**beneath, **scene.ours()}

        @contextmanager
        def start() -> Iterator[Attempt]:
            with working(scene.folder / "service", scene.table.parent, 1, settings) as (api, workers):
                yield Ours(scene, api, workers, settings["LEDGER_URL"])

        yield start


@dataclass(slots=True)
class Ours:
    """A task of the service. `workers` are process ids, `ledger` the URL of its ledger."""

    scene: Scene
    api: Api
    workers: list[int]
    ledger: str
    _task_id: str = field(default="", init=False)

    def begin(self) -> None:
        """Submit the table, unless the ledger has the task already."""
        known = json.loads(self.api.caller.get("/api/v1/tasks"))["tasks"]
        self._task_id = known[0]["task_id"] if known else self.api.submit(**wish(self.scene.table))

    def over(self) -> bool:
        status = self.api.status(self._task_id)
        return ended(status) or status["status"] == "paused"

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
