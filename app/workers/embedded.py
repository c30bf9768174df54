"""The embedded worker: one child process for a data folder, whoever starts the service and however often."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import structlog

from app.assembly import assemble
from app.cloudwatch.reporter import reporting
from app.cloudwatch.worker import OfWorker
from app.config import Settings, settings
from app.lock import take_lock
from app.logs import configure_logging
from app.workers.heap import ONE_ARENA, one_heap
from app.workers.priority import stand_back
from app.workers.settled import keep_for_good
from rowvec.housekeeping import housekeeping
from rowvec.worker import Worker

log = structlog.get_logger(__name__)

SUPERVISED = "--supervised"
LOCK = "worker.lock"
"""A child that outlives its supervisor still holds it, and so keeps a second worker away."""


class Supervisor:
    """Keeps the embedded worker running, if this process gets the lock; else waits for its turn."""

    def __init__(self, config: Settings, retry: float = 1.0, grace: float = 30.0) -> None:
        self._config = config
        self._retry = retry
        self._grace = grace
        self._keeper: asyncio.Task[None] | None = None
        self._child: asyncio.subprocess.Process | None = None

    @property
    def worker_running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    def wake(self) -> None:
        """Have the worker look for work at once, where this process keeps it."""
        if self.worker_running and self._child and self._child.stdin:
            self._child.stdin.write(b"\n")

    async def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Let the worker finish or hand back what it holds, then end it."""
        if self._keeper:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._child and self._child.returncode is None:
            await self._end(self._child)

    async def _keep(self) -> None:
        while True:
            lock = take_lock(self._config.data, LOCK)
            if lock is not None:
                try:
                    await self._run_child(lock)
                except OSError as error:
                    log.error("embedded worker could not be started; it is tried again", error=str(error))
                finally:
                    os.close(lock)
            await asyncio.sleep(self._retry)

    async def _run_child(self, lock: int) -> None:
        """Until the child ends. Its standard input wakes it, and stays open as long as this process lives."""
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.workers.embedded", SUPERVISED,
            stdin=asyncio.subprocess.PIPE, pass_fds=(lock,), env=self._environment(),
        )  # fmt: skip
        code = await self._child.wait()
        log.warning("embedded worker ended and is started again", code=code)

    def _environment(self) -> dict[str, str]:
        return ONE_ARENA | dict(os.environ) | {"DATA_DIR": str(self._config.data)}

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        if child.stdin:
            child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), self._grace)
        except TimeoutError:
            log.warning("embedded worker did not stop in time and is killed", pid=child.pid)
            child.kill()
            await child.wait()


async def work(config: Settings, supervised: bool) -> None:
    """Run a worker until told to stop: by a signal, or, supervised, by the end of standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # A terminal's Ctrl-C reaches the whole group; supervised, the parent decides when to stop.
    loop.add_signal_handler(signal.SIGINT, (lambda: None) if supervised else stop.set)
    machine = assemble(config)
    worker = Worker(machine)
    if supervised:
        loop.add_reader(sys.stdin.fileno(), _on_input, loop, stop, worker.wake)
    try:
        await machine.ledger.ready()
        keep_for_good()
        async with housekeeping(machine), reporting(config, OfWorker(worker)):
            await worker.run(stop)
    finally:
        await machine.close()


def _on_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, wake: Callable[[], None]) -> None:
    """Whatever comes wakes the worker; the end of it stops it."""
    if os.read(sys.stdin.fileno(), 1024):
        wake()
    else:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


def main(arguments: list[str]) -> int:
    """The child process, or (without `--supervised`) a worker in the foreground."""
    one_heap()
    config = settings()
    configure_logging(config.log_level, config.secrets)
    supervised = SUPERVISED in arguments
    stand_back()
    lock = None if supervised else take_lock(config.data, LOCK)
    if not supervised and lock is None:
        sys.stderr.write(
            f"error: a worker already runs on {config.data}. Stop it first, or use another DATA_DIR.\n"
        )
        return 1
    asyncio.run(work(config, supervised))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
