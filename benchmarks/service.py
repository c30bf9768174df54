"""The real service as it is started for good: `python -m app serve`, with its worker beside it."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.latency import Caller

ROOT = Path(__file__).resolve().parents[1]
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
"""All it sees of the caller's environment: nobody's settings, and nothing that would slow its imports."""

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running service. `api` and `worker` are process ids."""

    caller: Caller
    api: int
    worker: int
    log: Path

    def submit(self, **wish: Any) -> str:
        """The id of the new task."""
        answer = json.loads(self.caller.post("/api/v1/process", json.dumps(wish).encode()))
        return str(answer["task_id"])

    def status(self, task_id: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.caller.get(f"/api/v1/status/{task_id}"))
        return status

    def cancel(self, task_id: str) -> None:
        self.caller.post(f"/api/v1/tasks/{task_id}/cancel")

    def must_live(self) -> None:
        """Raises when the worker is not the one that was started: its account would be of two processes."""
        if not psutil.pid_exists(self.worker):
            raise RuntimeError(f"the worker has died:\n{last_words(self.log)}")


@contextmanager
def serving(folder: Path, rows: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """A service with `folder/data` for its data and the tables of `rows`; stopped at the end of the block."""
    port, key = _free_port(), secrets.token_hex(24)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "service.log"
    process = _start(folder, log, {**_environment(folder, rows, port, key), **settings})
    caller = Caller(port, key)
    try:
        worker = _wait_for_worker(process, caller, log)
        yield Service(caller, process.pid, worker, log)
    finally:
        caller.close()
        _stop(process)


def last_words(log: Path, characters: int = 4000) -> str:
    return log.read_text(errors="replace")[-characters:]


def _environment(folder: Path, rows: Path, port: int, key: str) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(folder / "data"),
        "LOCAL_FILES_DIR": str(rows),
        "API_KEYS": key,
        "PORT": str(port),
    }


def _start(folder: Path, log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "app", "serve"],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip


def _wait_for_worker(process: subprocess.Popen[bytes], caller: Caller, log: Path) -> int:
    """The worker's process id, once the service tells of a worker that is alive."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _works(caller):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the service did not come up:\n{last_words(log)}")
        time.sleep(0.1)
    children = psutil.Process(process.pid).children()
    (worker,) = [child for child in children if "app.workers.embedded" in child.cmdline()]
    return int(worker.pid)


def _works(caller: Caller) -> bool:
    try:
        return bool(json.loads(caller.get("/api/v1/health"))["workers"]["active"])
    except (OSError, http.client.HTTPException):
        caller.close()
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """In order; a worker that outlives its server ends itself, for its standard input closes."""
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
