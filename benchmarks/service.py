"""The real service as it is started for good: `python -m app serve`, its worker beside it or elsewhere."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
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
SERVE = (sys.executable, "-m", "app", "serve")


@dataclass(frozen=True, slots=True)
class Api:
    """A running API. `api` is its process id, `environment` what whoever works for it needs, too."""

    caller: Caller
    api: int
    log: Path
    environment: Mapping[str, str]

    @property
    def port(self) -> int:
        return int(self.environment["PORT"])

    @property
    def key(self) -> str:
        return self.environment["API_KEYS"]

    def submit(self, **wish: Any) -> str:
        """The id of the new task."""
        answer = json.loads(self.caller.post("/api/v1/process", json.dumps(wish).encode()))
        return str(answer["task_id"])

    def status(self, task_id: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.caller.get(f"/api/v1/status/{task_id}"))
        return status

    def cancel(self, task_id: str) -> None:
        self.caller.post(f"/api/v1/tasks/{task_id}/cancel")


@dataclass(frozen=True, slots=True)
class Service(Api):
    """A running API with its worker. `worker` is a process id."""

    worker: int

    def must_live(self) -> None:
        """Raises when the worker is not the one that was started: its account would be of two processes."""
        if not psutil.pid_exists(self.worker):
            raise RuntimeError(f"the worker has died:\n{last_words(self.log)}")


@contextmanager
def serving(folder: Path, rows: Path, settings: Mapping[str, str]) -> Iterator[Service]:
    """A service with `folder/data` for its data and the tables of `rows`; stopped at the end of the block."""
    with answering(folder, rows, settings) as api:
        wait_for_workers(api, 1)
        (worker,) = [
            child for child in psutil.Process(api.api).children() if "app.workers.embedded" in child.cmdline()
        ]
        yield Service(api.caller, api.api, api.log, api.environment, worker.pid)


@contextmanager
def answering(
    folder: Path, rows: Path, settings: Mapping[str, str], command: Sequence[str] = SERVE
) -> Iterator[Api]:
    """The same, whoever works for it; it may not answer yet. `{port}` in the command is where it listens."""
    port, key = _free_port(), secrets.token_hex(24)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "service.log"
    environment = {**_environment(folder, rows, port, key), **settings}
    process = start([part.format(port=port) for part in command], folder, log, environment)
    caller = Caller(port, key)
    try:
        yield Api(caller, process.pid, log, environment)
    finally:
        caller.close()
        stop(process)


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


def start(
    command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """A process in `folder` that says all it says to `log`."""
    with log.open("wb") as said:
        return subprocess.Popen(
            command,
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            start_new_session=True,
        )  # fmt: skip


def stop(process: subprocess.Popen[bytes]) -> None:
    """In order; what outlives it ends itself, for its standard input closes."""
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_workers(api: Api, count: int) -> None:
    """Until the service tells of so many workers that are alive. Raises RuntimeError with its last words."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _working(api.caller) < count:
        if _has_ended(api.api) or time.monotonic() > deadline:
            raise RuntimeError(f"the service did not come up:\n{last_words(api.log)}")
        time.sleep(0.1)


def _has_ended(child: int) -> bool:
    return bool(psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def _working(caller: Caller) -> int:
    try:
        return int(json.loads(caller.get("/api/v1/health"))["workers"]["active"])
    except (OSError, http.client.HTTPException):
        caller.close()
        return 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
