"""Who is alive is told also where nobody is left to bury the dead."""

from __future__ import annotations

import os

import psutil
import pytest

from rowvec.ledgers.memory import MemoryLedger
from rowvec.model import WorkerInfo
from rowvec.sweeper import living, this_host

pytestmark = pytest.mark.anyio
LEASE = 60.0


async def test_the_silent_and_those_whose_process_is_gone_do_not_count() -> None:
    """A beat within the lease is alive, a later one is not; a process of this host that is gone never is."""
    now = 1000.0
    ledger = MemoryLedger(clock=lambda: now)
    own = psutil.Process().create_time()
    await ledger.enlist(WorkerInfo("here", this_host(), os.getpid(), own, 2))
    await ledger.enlist(WorkerInfo("another with our number", this_host(), os.getpid(), own - 1000, 2))
    await ledger.enlist(WorkerInfo("elsewhere", "another host", 1, 0.0, 2))
    assert [worker.id for worker in await living(ledger, LEASE)] == ["elsewhere", "here"]
    now += LEASE + 1
    await ledger.beat("here", 0)
    assert [worker.id for worker in await living(ledger, LEASE)] == ["here"]
    assert len(await ledger.workers()) == 3
