"""Every ledger in turn, with a clock that only moves when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rowvec.ledgers.base import Ledger
from tests.contracts.ledger_kit import BACKENDS, Clock, worker
from tests.contracts.store_kit import any_store as any_store
from tests.contracts.store_kit import pinecone as pinecone


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=sorted(BACKENDS))
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    made = BACKENDS[request.param](tmp_path, clock)
    await made.ready()
    for name in ("w", "v"):
        await made.enlist(worker(name))
    yield made
    await made.close()
