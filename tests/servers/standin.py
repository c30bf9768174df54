"""A stand-in that is killed and comes back on the same port, with nothing in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from standins.process import Standin
from tests.servers.ports import free_port
from tests.servers.process import Server

ROOT = Path(__file__).resolve().parents[2]


class StandinServer(Server):
    """`python -m standins.NAME` with these settings, each time it starts."""

    def __init__(self, name: str, folder: Path, **settings: Any) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", f"standins.{name}", "--port", str(port)]
        super().__init__([*command, *chosen], folder / f"{name}.log", self._counts)

    @property
    def standin(self) -> Standin:
        """As it runs now. Raises RuntimeError when it does not."""
        return Standin(self.url, self.process)

    def _counts(self) -> bool:
        return isinstance(Standin(self.url, self.process).counters(), dict)


@contextmanager
def running(name: str, folder: Path, **settings: Any) -> Iterator[StandinServer]:
    """A stand-in until the block ends; what it says is in `folder`."""
    server = StandinServer(name, folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.kill()
