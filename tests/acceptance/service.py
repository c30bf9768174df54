"""The real service in processes of its own, on a data folder of its own, to be used and to be killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import httpx2
import psutil

from tests.servers.place import HERE, Place

ROOT = Path(__file__).resolve().parents[2]
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
"""All that the service sees of the caller's environment: nobody's keys, nobody's settings."""

ENDED = ("completed", "failed", "cancelled")


class Service:
    """`python -m uvicorn app.main:app` in a process group of its own; its embedded worker is in it, too.

    `folder` holds `data` (the DATA_DIR), `rows` (the local files) and `service.log`. What is started is
    ended at the end of the `with` block, whatever happens in it.
    """

    def __init__(self, folder: Path, place: Place = HERE, /, **environment: str) -> None:
        self.folder = folder
        self._place = place
        self.data = folder / "data"
        self.rows = folder / "rows"
        self.rows.mkdir(parents=True, exist_ok=True)
        self._port = _free_port()
        self._key = secrets.token_hex(24)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._group: int | None = None
        self.http = httpx2.Client(base_url=self.url, headers={"X-API-Key": self._key}, timeout=120)

    @property
    def url(self) -> str:
        return f"http://{self._place.address}:{self._port}"

    @property
    def key(self) -> str:
        return self._key

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        self.kill()

    def start(self, **environment: str) -> None:
        """Start it; does not wait. `environment` is added for this start only."""
        if self._process is not None or self.members():
            raise RuntimeError("the service, or the worker of the last one, runs already")
        with self._log("ab") as log:
            self._process = subprocess.Popen(
                self._place.command(
                    self.folder,
                    sys.executable,
                    "-m",
                    "uvicorn",
                    "app.main:app",
                    "--host",
                    self._place.address,
                    "--port",
                    str(self._port),
                ),
                cwd=self.folder,
                env=self._whole_environment() | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._group = self._process.pid

    def wait_alive(self, seconds: float = 60) -> None:
        """Until /livez answers. Raises with the end of the log when it dies, or takes too long."""
        deadline = time.monotonic() + seconds
        while not self._answers():
            self.must_run()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the service did not answer within {seconds} s:\n{self.log_end()}")
            time.sleep(0.05)

    def must_run(self) -> None:
        """Raises with the end of the log when the process has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the service does not run:\n{self.log_end()}")

    def upload(self, data: bytes) -> str:
        """The file_id of an uploaded table."""
        answer = self.http.post("/api/v1/files", content=data, headers={"Content-Type": "text/csv"})
        file_id: str = answer.raise_for_status().json()["file_id"]
        return file_id

    def submit(self, **wish: Any) -> str:
        """The task_id of a submission."""
        task_id: str = self.http.post("/api/v1/process", json=wish).raise_for_status().json()["task_id"]
        return task_id

    def status(self, task_id: str) -> dict[str, Any]:
        status: dict[str, Any] = self.http.get(f"/api/v1/status/{task_id}").raise_for_status().json()
        return status

    def until(self, task_id: str, true: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """The status of a task once this is true of it. Raises when that takes longer."""
        deadline = time.monotonic() + seconds
        while not true(status := self.status(task_id)):
            self.must_run()
            if time.monotonic() > deadline:
                raise TimeoutError(f"still so after {seconds:.0f} s: {status}\n{self.log_end()}")
            time.sleep(0.05)
        return status

    def end_of(self, task_id: str, seconds: float) -> dict[str, Any]:
        """The status of a task once it has ended. Raises when that takes longer."""
        return self.until(task_id, lambda status: status["status"] in ENDED, seconds)

    def left_out(self, task_id: str, outcome: str = "rejected") -> list[dict[str, Any]]:
        """The list of rows that are not in the index for this reason."""
        answer = self.http.get(f"/api/v1/tasks/{task_id}/rejected", params={"outcome": outcome})
        return [json.loads(line) for line in answer.raise_for_status().text.split("\n") if line]

    def chunks(self, task_id: str) -> list[dict[str, Any]]:
        """All chunks of a task."""
        every: list[dict[str, Any]] = []
        after: int | None = -1
        while after is not None:
            answer = self.http.get(f"/api/v1/tasks/{task_id}/chunks", params={"after": after})
            page = answer.raise_for_status().json()
            every += page["chunks"]
            after = page["next_after"]
        return every

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when none of it is left."""
        self._end(signal.SIGKILL)

    def kill_server(self) -> None:
        """SIGKILL to the server alone; its worker is left to itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def worker(self) -> psutil.Process:
        """The embedded worker's process. Raises when there is not exactly one."""
        (worker,) = [process for process in self.members() if "app.workers.embedded" in process.cmdline()]
        return worker

    def stop(self, seconds: float = 60) -> None:
        """SIGTERM to the service, as an init system does; kills what is left after so long."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            finally:
                self._end(signal.SIGKILL)

    def members(self) -> list[psutil.Process]:
        """Living processes of the group: the service and its worker."""
        return [process for process in psutil.process_iter() if _in_group(process, self._group)]

    def log_end(self, characters: int = 4000) -> str:
        """The last words of the service."""
        path = self.folder / "service.log"
        return path.read_text(errors="replace")[-characters:] if path.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        if self._group is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._group, number)
        if self._process is not None:
            self._process.wait(30)
        deadline = time.monotonic() + 30
        while left := self.members():
            if time.monotonic() > deadline:
                raise TimeoutError(f"still alive after signal {number}: {left}")
            time.sleep(0.005)
        self._process = self._group = None

    def _answers(self) -> bool:
        try:
            return self.http.get("/livez").status_code == 200
        except httpx2.TransportError:
            return False

    def _log(self, mode: str) -> IO[bytes]:
        return (self.folder / "service.log").open(mode)

    def _whole_environment(self) -> dict[str, str]:
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        own = {
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(self.data),
            "LOCAL_FILES_DIR": str(self.rows),
            "API_KEYS": self._key,
            "PORT": str(self._port),
        }
        return passed | own | self._environment


def _in_group(process: psutil.Process, group: int | None) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
