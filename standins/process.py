"""A stand-in as a process of its own, started, steered and ended by a test or a benchmark."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Standin:
    """A running stand-in. `url` has no path: OpenAI's base URL, for one, is `url + "/v1"`."""

    url: str
    process: subprocess.Popen[bytes]

    def set(self, **settings: Any) -> None:
        """Change settings while it runs; the others stay."""
        self.ask("/_standin/settings", settings)

    def counters(self) -> dict[str, Any]:
        counted: dict[str, Any] = self.ask("/_standin/counters")
        return counted

    def reset(self) -> None:
        """Counts and buckets begin anew; settings stay."""
        self.ask("/_standin/reset", {})

    def ask(self, path: str, document: Any = None) -> Any:
        """Any path of it: a GET, or a POST of this document. Raises urllib's HTTPError."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(self.url + path, body)  # noqa: S310 - always http, always this machine
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def started(name: str, address: str = "127.0.0.1", /, **settings: Any) -> Iterator[Standin]:
    """`python -m standins.NAME` with these settings, on a free port of this machine, until the block ends.

    Its socket listens before it does, so that nobody has to guess when it is up.
    """
    with socket.create_server((address, 0), backlog=512) as listener:
        fd = listener.fileno()
        chosen = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        process = subprocess.Popen(
            [sys.executable, "-m", f"standins.{name}", "--supervised", "--fd", str(fd), *chosen],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, pass_fds=(fd,), stdin=subprocess.PIPE,
        )  # fmt: skip
        url = f"http://{address}:{listener.getsockname()[1]}"
    try:
        yield Standin(url, process)
    finally:
        process.terminate()
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
