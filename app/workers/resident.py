"""A worker that lives in a process beside something else: on a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as Late
from contextlib import suppress

import structlog

from app.assembly import assemble
from app.cloudwatch.reporter import reporting
from app.cloudwatch.worker import OfWorker
from app.config import Settings
from app.workers.doorbell import CeleryDoorbell
from app.workers.settled import keep_for_good
from rowvec.housekeeping import housekeeping
from rowvec.worker import Worker

log = structlog.get_logger(__name__)

POLL_SECONDS = 3.0
"""How long an idle worker waits before it looks into the ledger though nobody rang."""
START_SECONDS = 5.0


class Resident:
    """Works from `start` until `stop`, or until the descriptor `heard` can be read."""

    def __init__(self, config: Settings, heard: int) -> None:
        self._config = config
        self._heard = heard
        self._thread = threading.Thread(target=self._run, name="resident-worker", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: Worker | None = None
        self._stop: asyncio.Event | None = None
        self._begun = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let what runs end, or hand it back; returns when the worker has left the ledger."""
        if self._begun.wait(START_SECONDS) and self._loop and self._stop:
            with suppress(RuntimeError):  # it has stopped by itself, and its loop is closed
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def work(self, seconds: float) -> None:
        """Look for work at once; returns when there is none left, or after so long."""
        if not self._begun.wait(seconds) or self._loop is None or self._worker is None:
            return
        resting = asyncio.run_coroutine_threadsafe(self._worker.rest(), self._loop)
        try:
            resting.result(seconds)
        except (Late, CancelledError):
            resting.cancel()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException:
            # A fault of our own: the pool makes a new process, and the sweeper takes back what this one held.
            log.exception("worker broke")
            os._exit(1)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.add_reader(self._heard, self._told)
        machine = assemble(self._config)
        try:
            await machine.ledger.ready()
            keep_for_good()
            doorbell = CeleryDoorbell(self._config.broker_url)
            self._worker = Worker(machine, poll=POLL_SECONDS, ring=doorbell.ring)
            self._begun.set()
            async with housekeeping(machine), reporting(self._config, OfWorker(self._worker)):
                await self._worker.run(self._stop)
        finally:
            await machine.close()

    def _told(self) -> None:
        if self._loop and self._stop:
            self._loop.remove_reader(self._heard)
            self._stop.set()
