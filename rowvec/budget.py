"""What all who call share: requests a second, tokens a minute, and the quiet after a 429."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from rowvec.rates import Rates

REQUEST_BURST = 0.75
"""Seconds of requests that may be sent at once after a rest; providers allow one, the rest is for jitter."""

TOKEN_BURST = 3.5
"""The same of tokens, of which providers allow about four."""

SLACK = 0.5
"""Seconds by which a schedule that a 429 has proved too early is put off for good."""


@dataclass(slots=True)
class Pace:
    """A virtual-clock schedule (GCRA): `rate` units a second, `burst` seconds of them at once.

    `reserve` books a place and says how long to wait for it, so that waiters never collide.
    """

    rate: float
    burst: float = 1.0
    _free_at: float = -math.inf

    def reserve(self, amount: float, now: float) -> float:
        self._free_at = max(self._free_at, now - self.burst) + amount / self.rate
        return max(0.0, self._free_at - now)

    def correct(self, more: float, now: float) -> None:
        """What was booked has cost so much more; less, when it is below 0."""
        self._free_at = max(self._free_at, now - self.burst) + more / self.rate

    def begin_at(self, moment: float) -> None:
        """Have nothing in hand before this moment."""
        self._free_at = max(self._free_at, moment)


class Budget(ABC):
    """Where the shared numbers are kept: in one process here, for many in another place.

    The governor calls `book` for one request at a time and stands in between; a budget only reckons.
    """

    @property
    @abstractmethod
    def rates(self) -> Rates:
        """What is paced by, as far as it is known."""

    async def join(self) -> None:
        """Be one of those who share it, also while there is nothing to book: what is not used meanwhile is
        in hand then."""
        return

    @abstractmethod
    async def book(self, tokens: int) -> float:
        """Book one request of so many tokens; the seconds after which it may be sent."""

    @abstractmethod
    async def correct(self, tokens: int) -> None:
        """What was booked has cost so many tokens more, or less, when they are below 0."""

    @abstractmethod
    async def observe(self, rates: Rates) -> None:
        """The provider has told these rates: from now on they are what is paced by."""

    @abstractmethod
    async def pause(self, seconds: float) -> None:
        """The provider asked for quiet: nobody calls for so long, and then nothing is in hand."""

    @abstractmethod
    async def quiet(self) -> float:
        """Seconds that are left of the pause; 0.0 when there is none."""

    async def watched(self) -> tuple[Rates, float]:
        """The rates and what is left of the pause, for who does not call: it changes nothing."""
        return self.rates, await self.quiet()

    async def close(self) -> None:
        """Let go of connections."""
        return


class LocalBudget(Budget):
    """The budget of one process."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._requests = _requests(rates)
        self._tokens = _tokens(rates)
        self._resume_at = -math.inf

    @property
    def rates(self) -> Rates:
        return self._rates

    async def book(self, tokens: int) -> float:
        now = _now()
        return max(
            self._requests.reserve(1, now) if self._requests else 0.0,
            self._tokens.reserve(tokens, now) if self._tokens else 0.0,
        )

    async def correct(self, tokens: int) -> None:
        if self._tokens:
            self._tokens.correct(tokens, _now())

    async def observe(self, rates: Rates) -> None:
        rates = rates.or_else(self._rates)
        if rates == self._rates:
            return
        self._rates = rates
        self._requests = _changed(self._requests, _requests(rates))
        self._tokens = _changed(self._tokens, _tokens(rates))

    async def pause(self, seconds: float) -> None:
        self._resume_at = max(self._resume_at, _now() + seconds)
        for pace in (self._requests, self._tokens):
            if pace:
                pace.begin_at(self._resume_at + SLACK)

    async def quiet(self) -> float:
        return max(0.0, self._resume_at - _now())


def _requests(rates: Rates) -> Pace | None:
    if not rates.requests_per_second:
        return None
    return Pace(rates.requests_per_second, max(REQUEST_BURST, 1 / rates.requests_per_second))


def _tokens(rates: Rates) -> Pace | None:
    return Pace(rates.tokens_per_minute / 60, TOKEN_BURST) if rates.tokens_per_minute else None


def _changed(old: Pace | None, new: Pace | None) -> Pace | None:
    """The new pace, with the debts of the old one."""
    if old and new:
        old.rate, old.burst = new.rate, new.burst
        return old
    return new


def _now() -> float:
    return asyncio.get_running_loop().time()
