"""The stand-in of Metabase in a process of its own that ends with the tests."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "mb_key-of-the-tests"
USERNAME, PASSWORD = "ann@example.com", "password-of-the-tests"
SETTINGS = {
    "api_key": API_KEY,
    "username": USERNAME,
    "password": PASSWORD,
    "gzip": True,
    "row_cap": 1_048_575,
    "status": 200,
}


@dataclass(frozen=True)
class Metabase:
    """Where it listens, and what a test arranges in it."""

    url: str

    @property
    def settings(self) -> dict[str, str]:
        """What the source needs to reach it, by the names of `.env.example`."""
        return {"METABASE_URL": self.url, "METABASE_API_KEY": API_KEY}

    @property
    def login(self) -> dict[str, str]:
        """The same, with a name and a password in the key's place."""
        return {"METABASE_URL": self.url, "METABASE_USERNAME": USERNAME, "METABASE_PASSWORD": PASSWORD}

    def ask(self, number: int, table: str | bytes = b"", **options: str | int) -> int:
        """Make or replace a question; its number again."""
        self._control("PUT", f"questions/{number}", content=table, params=options)
        return number

    def forget(self, number: int) -> None:
        self._control("DELETE", f"questions/{number}")

    def suffer(self, kind: str, **how: Any) -> None:
        """A fault, as `standins.metabase.faults` has them."""
        self._control("POST", "faults", json={"kind": kind, **how})

    def recover(self) -> None:
        self._control("DELETE", "faults")

    def set(self, **settings: Any) -> None:
        self._control("POST", "settings", json=settings)

    def end_sessions(self) -> None:
        self._control("DELETE", "sessions")

    def reset(self) -> None:
        self._control("POST", "reset")
        self.set(**SETTINGS)

    @property
    def counters(self) -> dict[str, int]:
        """Requests by kind: card, export, session; and exports given to their end."""
        counted: dict[str, int] = self._control("GET", "counters").json()
        return counted

    def _control(self, method: str, path: str, **options: Any) -> httpx2.Response:
        return httpx2.request(method, f"{self.url}/_standin/{path}", timeout=60, **options).raise_for_status()


@contextmanager
def running(folder: Path) -> Iterator[Metabase]:
    """A stand-in until the block ends; what it says is in `folder`. Its socket listens before it does."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        with (folder / "metabase.txt").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "standins.metabase", "--supervised", "--fd", str(fd)],
                cwd=ROOT, stdin=subprocess.PIPE, stderr=stderr, pass_fds=(fd,),
            )  # fmt: skip
    with process:
        try:
            yield Metabase(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def metabase_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metabase]:
    """Started by the first test that asks for it."""
    with running(tmp_path_factory.mktemp("metabase")) as server:
        yield server


@pytest.fixture
def metabase(metabase_server: Metabase) -> Metabase:
    """As it was at the start."""
    metabase_server.reset()
    return metabase_server
