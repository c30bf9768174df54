"""Many clients at once: nobody sees a server's error, and no task that was accepted is lost."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from benchmarks.crowd import crowd
from tests.http_service import serve, uvicorn

pytestmark = pytest.mark.anyio
CLIENTS, SECONDS, THINK = 20, 5.0, 0.1


async def test_twenty_clients_at_once(tmp_path: Path) -> None:
    """They upload, submit, ask, cancel, list and search; every task comes to an end that fits."""
    key = secrets.token_hex(24)
    with serve(uvicorn(), tmp_path, API_KEYS=key, EMBEDDER="memory") as service:
        service.client().get("/livez").raise_for_status()
        outcome = await crowd(int(service.url.rpartition(":")[2]), key, CLIENTS, SECONDS, THINK)

    assert outcome.seen.strange == []
    assert outcome.seen.server_errors == 0
    assert outcome.lost == []
    assert outcome.ends.total() == len(outcome.seen.accepted) >= CLIENTS
    assert outcome.ends["completed"] > 0
