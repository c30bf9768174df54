"""The real service as a process of its own, on a port of its own, over real HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parent.parent
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Running:
    url: str
    process: subprocess.Popen[bytes]
    said: Path

    @property
    def stderr(self) -> str:
        return self.said.read_text()

    def client(self, key: str | None = None, **options: Any) -> httpx2.Client:
        headers = {"X-API-Key": key} if key else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, **options)


@contextmanager
def serve(command: Sequence[str], folder: Path, **settings: str) -> Iterator[Running]:
    """Run `command` until the block ends; `{fd}` in it stands for a socket that already listens.

    Connections wait in that socket's queue, so nobody has to guess when the service is up. It runs in
    `folder`, where no developer's `.env` is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "stderr.txt"
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)} | settings
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener, said.open("wb") as stderr:
        fd = listener.fileno()
        process = subprocess.Popen(
            [part.format(fd=fd) for part in command],
            cwd=folder, env=environment, stdout=stderr, stderr=stderr, pass_fds=(fd,),
        )  # fmt: skip
        try:
            yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", process, said)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def uvicorn() -> list[str]:
    return [sys.executable, "-m", "uvicorn", "app.main:app", "--fd", "{fd}"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def follow(client: httpx2.Client, task_id: str) -> list[str]:
    """The names of the events of a task, up to its end. A task that hangs for minutes raises TimeoutError."""
    give_up = time.monotonic() + 180
    names = []
    with client.stream("GET", f"/api/v1/tasks/{task_id}/events") as stream:
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            if time.monotonic() > give_up:
                raise TimeoutError(f"task {task_id} has not ended after {names}")
    return names
