"""May I call? One shared schedule of requests and tokens, and one common pause after a 429."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass


@dataclass(slots=True)
class Pace:
    """A virtual-clock schedule (GCRA): `rate` units a second, `burst` seconds of them at once.

    `reserve` books a place and says how long to wait for it, so that waiters never collide.
    """

    rate: float
    burst: float = 1.0
    _free_at: float = -math.inf

    def reserve(self, amount: float, now: float) -> float:
        start = max(self._free_at, now - self.burst)
        self._free_at = start + amount / self.rate
        return max(0.0, self._free_at - now)

    def give_back(self, amount: float) -> None:
        """Return what was booked and not used."""
        self._free_at -= amount / self.rate


class Governor:
    """The budget of one process. None means no limit.

    Rates: requests a second, tokens a minute. All who wait honour the same pause.
    """

    def __init__(
        self, requests_per_second: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self._requests = Pace(requests_per_second, 1.0) if requests_per_second else None
        self._tokens = Pace(tokens_per_minute / 60, 4.0) if tokens_per_minute else None
        self._resume_at = 0.0

    async def admit(self, tokens: int = 0) -> None:
        """Return when one request of so many tokens may be sent."""
        now = asyncio.get_running_loop().time()
        wait = max(
            self._requests.reserve(1, now) if self._requests else 0.0,
            self._tokens.reserve(tokens, now) if self._tokens else 0.0,
        )
        await self._until(now + wait)

    async def _until(self, moment: float) -> None:
        loop = asyncio.get_running_loop()
        while (wait := max(moment, self._resume_at) - loop.time()) > 0:
            await asyncio.sleep(wait)

    def least_seconds(self, requests: float, tokens: float) -> float | None:
        """How long so many requests and tokens take at these rates; None without a limit."""
        paces = ((self._requests, requests), (self._tokens, tokens))
        return max((amount / pace.rate for pace, amount in paces if pace), default=None)

    def refund(self, tokens: int) -> None:
        """The last request cost fewer tokens than was admitted."""
        if self._tokens:
            self._tokens.give_back(tokens)

    def pause(self, seconds: float) -> None:
        """A provider asked for quiet: nobody calls for so long."""
        self._resume_at = max(self._resume_at, asyncio.get_running_loop().time() + seconds)
