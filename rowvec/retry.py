"""Shall I try again, and when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from rowvec.errors import RateLimited, RetryLater
from rowvec.lease import Lease

T = TypeVar("T")
PATIENCE = 15 * 60.0
"""Seconds for which weather is sat out with the work in hand."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a chunk is tried, and how long it rests in between.

    Waits double from `base` to `cap` seconds, with full jitter so that chunks do not return in step.
    """

    max_attempts: int = 8
    base: float = 1.0
    cap: float = 120.0

    def wait(self, attempts: int, error: BaseException, jitter: float | None = None) -> float | None:
        """Seconds to wait after `attempts` failed attempts (this one included), None to give up.

        Weather (RetryLater) is waited out for as long as it lasts; any other error uses up attempts.
        """
        if isinstance(error, RetryLater):
            if error.retry_after is not None:
                return error.retry_after
        elif attempts >= self.max_attempts:
            return None
        spread = random.random() if jitter is None else jitter  # noqa: S311 - no secret depends on it
        return float(min(self.cap, self.base * 2 ** min(attempts, 10))) * (0.5 + spread / 2)


IN_PLACE = RetryPolicy(base=0.25, cap=30.0)


async def outlast(lease: Lease, call: Callable[[], Awaitable[T]], policy: RetryPolicy = IN_PLACE) -> T:
    """The call's result, tried again through weather: what was read and paid for stays in hand meanwhile.

    Raises the last RetryLater when the lease is about to end, or after PATIENCE; all else at once.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + PATIENCE
    attempt = 0
    with lease.waits.in_hand(lease.claim) as tell:
        while True:
            try:
                return await call()
            except RetryLater as error:
                attempt += 1
                wait = policy.wait(attempt, error)
                if wait is None or loop.time() + wait > give_up_at or lease.heartbeat.is_ending():
                    raise
                if not isinstance(error, RateLimited):
                    tell(error.message)
                await asyncio.sleep(wait)
