"""May this worker still touch the claim it holds?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from rowvec.errors import LeaseLost
from rowvec.ledgers.base import Ledger
from rowvec.model import Claim
from rowvec.waits import Waits


@dataclass(slots=True)
class Heartbeat:
    """When this worker was last known alive, on its own monotonic clock; renewed by the beat."""

    lease_seconds: float
    valid_until: float = 0.0

    def renew(self, asked_at: float) -> None:
        """The ledger took a beat that was sent at `asked_at`."""
        self.valid_until = asked_at + self.lease_seconds

    def left(self) -> float:
        return self.valid_until - asyncio.get_running_loop().time()

    def is_ending(self) -> bool:
        """Too little is left to begin anything: the beats are not getting through."""
        return self.left() < self.lease_seconds / 10


@dataclass(frozen=True, slots=True)
class Lease:
    """One claim of one worker. Fences do not reach the vector store: this check stands before it."""

    ledger: Ledger
    worker: str
    claim: Claim
    heartbeat: Heartbeat
    waits: Waits = field(default_factory=Waits)

    async def check(self) -> float:
        """Seconds that are left for a call to the outside. Raises LeaseLost when there are none.

        Reckoned last of all: a process may have been stopped for longer than its lease while it waited for
        the ledger's answer, which then tells of a time before.
        """
        if self.heartbeat.left() > 0 and await self.ledger.holds(self.worker, self.claim):
            left = self.heartbeat.left()
            if left > 0:
                return left
        raise LeaseLost(f"worker {self.worker} no longer holds this work")
