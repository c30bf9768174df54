"""Weather over a task: what is killed, when, and what that may cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import psycopg

from tests.acceptance.production import CeleryWorker, Production, freeze, until
from tests.acceptance.service import ENDED

BETWEEN = 4
"""Chunks that are committed between one blow and the next."""


class Storm:
    """Blows that fall while a task runs, each once more of it is done. Its ledger is in PostgreSQL.

    `in_flight` says at how many kills each row was of a chunk that the killed process held.
    """

    def __init__(self, whole: Production, task_id: str, ledger: str) -> None:
        self._whole = whole
        self._task_id = task_id
        self._ledger = ledger
        self.in_flight: Counter[int] = Counter()
        self.kills = 0

    def kill_process(self) -> None:
        """SIGKILL to a process of a worker's pool, in the middle of its chunks; Celery makes a new one."""
        self._let_work()
        _, process = self._caught()
        process.kill()

    def kill_program(self) -> None:
        """SIGKILL to Celery, in the middle of its chunks; it is started again as an init system does."""
        self._let_work()
        worker, _ = self._caught()
        worker.kill()
        worker.start()

    def blow(self, strike: Callable[[], None]) -> None:
        """Anything else that happens to it."""
        self._let_work()
        strike()

    def end(self) -> dict[str, Any]:
        """The status once the task has ended."""

        def ended() -> dict[str, Any] | None:
            status = self.progress()
            return status if status and status["status"] in ENDED else None

        return until(ended, "the task does not end")

    def progress(self) -> dict[str, Any] | None:
        """The status, of which the law holds at every moment; None while the ledger is away."""
        answer = self._whole.service.http.get(f"/api/v1/status/{self._task_id}")
        if answer.status_code == 503:
            assert "ledger" in answer.json()["detail"].lower()
            return None
        status: dict[str, Any] = answer.raise_for_status().json()
        account = status["conservation"]
        parts = ("upserted", "unchanged", "filtered", "duplicate", "rejected", "unprocessed")
        assert account["read"] == sum(account[part] for part in parts)
        return status

    def _let_work(self) -> None:
        """Until some more chunks are done. Raises when the task has ended: then nothing is hit any more."""
        goal = self._done() + BETWEEN
        until(lambda: self._done() >= goal, "the task does not go on")

    def _done(self) -> int:
        status = self.progress()
        if status is None:
            return 0
        if status["status"] in ENDED:
            raise RuntimeError(f"the task ended before the storm was over: {status}")
        done: int = status["progress"]["chunks_completed"]
        return done

    def _caught(self) -> tuple[CeleryWorker, psutil.Process]:
        """A worker with a process of its pool that stands still, with chunks in its hands that are now noted.

        Whichever has some: while both start, nothing goes on, and the storm is not over before the task.
        """
        caught = until(self._catch, "no worker gets a chunk")
        self.kills += 1
        return caught

    def _catch(self) -> tuple[CeleryWorker, psutil.Process] | None:
        pools = [(worker, process) for worker in self._whole.workers for process in worker.pool()]
        for worker, process in pools:
            if not self._held(process.pid):
                continue
            freeze(process)
            if rows := self._held(process.pid):
                self.in_flight.update(rows)
                return worker, process
            process.resume()
        return None

    def _held(self, pid: int) -> list[int]:
        """The rows, by number, of the chunks that this process has claimed, as the ledger knows."""
        claimed = (
            "SELECT first_row, rows FROM chunks WHERE task_id = %s AND state = 'claimed' AND worker LIKE %s"
        )
        with psycopg.connect(self._ledger) as connection:
            found = connection.execute(claimed, [self._task_id, f"%-{pid}-%"]).fetchall()
        return [row for first, rows in found for row in range(first, first + rows)]
