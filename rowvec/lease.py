"""May this worker still touch the claim it holds?"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from rowvec.errors import LeaseLost
from rowvec.gates import Gates
from rowvec.ledgers.base import Ledger
from rowvec.model import Claim, Counts
from rowvec.waits import Waits

BELIEVED_SECONDS = 1.0
"""For so long, at most, the writes of one chunk share an answer of the ledger."""


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
    """One claim of one worker. Fences do not reach the vector store: this check stands before it.

    `more` is to be called when the ledger has more to hand out than before, `done` with the counts of a chunk
    that is committed. `refusals` is how often the embedder had refused the account when the work was claimed,
    None where nobody counts.
    """

    ledger: Ledger
    worker: str
    claim: Claim
    heartbeat: Heartbeat
    waits: Waits = field(default_factory=Waits)
    gates: Gates = field(default_factory=Gates)
    more: Callable[[], None] = lambda: None
    done: Callable[[Counts], None] = lambda _: None
    refusals: int | None = None

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


@dataclass(slots=True)
class SharedCheck:
    """A lease's check before each of several calls that follow each other: the ledger is asked by the first
    of them, and again when that is BELIEVED_SECONDS ago; the worker's own heart is looked at each time."""

    lease: Lease
    _believed_until: float = -math.inf
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def check(self) -> float:
        """As the lease's own."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            left = self.lease.heartbeat.left()
            if left <= 0 or now >= self._believed_until:
                left = await self.lease.check()
                self._believed_until = now + BELIEVED_SECONDS
            return left
