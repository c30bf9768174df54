"""What stands before every write to the vector store, and how often it asks the ledger."""

from __future__ import annotations

import asyncio

import pytest

from rowvec.errors import LeaseLost
from rowvec.lease import BELIEVED_SECONDS, Heartbeat, Lease, SharedCheck
from rowvec.ledgers.memory import MemoryLedger
from rowvec.model import Claim
from tests.contracts.ledger_kit import plan_claim, worker
from tests.virtual_time import run


class AskedLedger(MemoryLedger):
    """Counts how often it is asked whether a claim is held, and takes its time to answer."""

    asked = 0

    async def holds(self, worker: str, claim: Claim) -> bool:
        self.asked += 1
        await asyncio.sleep(0.01)
        return await super().holds(worker, claim)


async def held(ledger: AskedLedger, seconds: float = 600.0) -> SharedCheck:
    """The check of the lease of a plan; its own heart gives it `seconds` to live."""
    await ledger.enlist(worker("w"))
    claim = await plan_claim(ledger)
    heartbeat = Heartbeat(seconds)
    heartbeat.renew(asyncio.get_running_loop().time())
    return SharedCheck(Lease(ledger, "w", claim, heartbeat))


def test_writes_that_follow_each_other_share_one_answer() -> None:
    """The ledger is asked once by all who ask together or soon after, and again when that is a while ago."""

    async def check() -> None:
        ledger = AskedLedger()
        shared = await held(ledger)
        await asyncio.gather(*(shared.check() for _ in range(8)))
        assert 600 - BELIEVED_SECONDS < await shared.check() < 600
        assert ledger.asked == 1
        await asyncio.sleep(BELIEVED_SECONDS)
        await shared.check()
        assert ledger.asked == 2

    run(check())


def test_a_claim_that_is_another_s_is_told_soon() -> None:
    """After a burial a yes is believed for no longer than said; a no is never remembered as a yes."""

    async def check() -> None:
        ledger = AskedLedger()
        shared = await held(ledger)
        await shared.check()
        await ledger.bury(["w"])
        await asyncio.sleep(BELIEVED_SECONDS)
        for _ in range(2):
            with pytest.raises(LeaseLost):
                await shared.check()

    run(check())


def test_a_heart_that_has_stopped_ends_the_lease_at_once() -> None:
    """Whatever the ledger has said a moment ago."""

    async def check() -> None:
        shared = await held(AskedLedger(), seconds=BELIEVED_SECONDS / 2)
        await shared.check()
        await asyncio.sleep(BELIEVED_SECONDS / 2)
        with pytest.raises(LeaseLost):
            await shared.check()

    run(check())
