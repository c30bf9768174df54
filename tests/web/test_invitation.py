"""The link that `serve` prints: never where nobody listens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.exits import Exit
from tests.http_service import KEPT, ROOT

LINK = "/sign-in?token="
SERVER = """
import sys, uvicorn
from app.main import app
from app.web.invitation import InvitingServer
InvitingServer(app, uvicorn.Config(app, port=int(sys.argv[1]))).run()
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python, with nothing configured, until it ends."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT), "MIN_FREE_BYTES": "0"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_a_taken_port_is_told_in_one_line(tmp_path: Path, taken: int) -> None:
    """With what to do about it, and without a link."""
    ended = run(tmp_path, "-m", "app", "serve", "--port", str(taken))
    assert ended.returncode == Exit.USAGE and LINK not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(f"error: Port {taken} is in use by another program.")


def test_no_link_is_printed_before_the_service_listens(tmp_path: Path, taken: int) -> None:
    """The port may be taken after it was tried: everything is open by then, and nobody answers."""
    ended = run(tmp_path, "-c", SERVER, str(taken))
    assert ended.returncode not in (0, Exit.FAILED) and "address already in use" in ended.stderr
    assert LINK not in ended.stderr
