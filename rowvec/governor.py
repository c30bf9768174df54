"""May I call? One line, one budget, one pause after a 429; one goes first where nothing is sure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rowvec.budget import Budget, LocalBudget
from rowvec.errors import PauseNeeded, ProviderPaused, RateLimited, RequestTooLarge
from rowvec.meter import Meter
from rowvec.rates import Rates
from rowvec.usage import Usage

DEFAULT_PAUSE = 5.0
"""Seconds of quiet after a 429 that does not say how long."""

FIRST_TOKENS = 40_000
"""A request's tokens while the provider's limit is not known."""

REQUEST_SECONDS = 0.5
"""Seconds of the token budget that one request takes: little to lose, little to wait for, few to send."""

MOST_SECONDS = 2.0
"""The same where requests are scarce. More than a provider's bucket holds would never get through."""

FEW_TOKENS = 2_000
"""A request is not made of fewer than these, unless they take MOST_SECONDS."""

LEAST_PAUSE = 0.01
"""Who is told to wait for nothing does not spin."""


@dataclass(slots=True)
class Turn:
    """One request that may be sent now. `settle` it when its answer has told what it cost."""

    booked: int
    budget: Budget
    refusals: int
    settled: bool = False
    meter: Meter = field(default_factory=Meter)

    async def settle(self, tokens: int, rates: Rates | None = None) -> None:
        """It has cost so many tokens; `rates` are what the provider told with the answer."""
        self.settled = True
        self.meter.add(_now(), 1, tokens)
        if rates:
            known = self.budget.rates.tokens_per_minute
            await self.budget.observe(rates)
            if known is None:
                self.booked = 0
        await self.budget.correct(tokens - self.booked)


class Governor:
    """Stands between a process and its provider. Without rates, and with nothing to learn, nobody waits.

    Where the rates are yet to be learned, and after the provider has refused the account, one request
    goes first and the others wait for what becomes of it.
    """

    def __init__(
        self,
        requests_per_second: float | None = None,
        tokens_per_minute: float | None = None,
        learns: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget or LocalBudget(Rates(requests_per_second, tokens_per_minute))
        self._learns = learns and tokens_per_minute is None
        self._line = asyncio.Lock()
        self._sure = not self._learns
        self._refusal: PauseNeeded | None = None
        self._meter = Meter()
        self._queued = 0
        self.refusals = 0
        """How often the provider has refused the account. Who began before the last time does not call."""
        self.rate_limited = 0
        """How many requests the provider has put off with a 429 since the process began."""

    @asynccontextmanager
    async def turn(self, tokens: int = 0, seen: int | None = None) -> AsyncIterator[Turn]:
        """One request of so many tokens, as soon as it may be sent; what becomes of it is noted.

        `seen` is what `refusals` was when the caller's work began. Raises the provider's PauseNeeded when
        there has been one since.
        """
        turn, first = await self._wait(tokens, seen)
        try:
            yield turn
        except (RequestTooLarge, ProviderPaused):
            await self._budget.correct(-turn.booked)
            raise
        except RateLimited as error:
            self.rate_limited += 1
            await self._budget.correct(-turn.booked)
            asked = DEFAULT_PAUSE if error.retry_after is None else error.retry_after
            await self._budget.pause(max(asked, LEAST_PAUSE))
            raise
        except PauseNeeded as error:
            self._refuse(error)
            raise
        finally:
            if turn.settled and turn.refusals == self.refusals:
                self._sure = True
            if first:
                self._line.release()

    async def _wait(self, tokens: int, seen: int | None) -> tuple[Turn, bool]:
        """A turn, and whether the line waits behind it."""
        first = False
        self._queued += 1
        try:
            await self._line.acquire()
        except asyncio.CancelledError:
            self._queued -= 1
            raise
        try:
            self._check(seen)
            await self._until_free(tokens)
            self._check(seen)
            first = not self._sure
        finally:
            self._queued -= 1
            if not first:
                self._line.release()
        return Turn(tokens, self._budget, self.refusals, meter=self._meter), first

    async def _until_free(self, tokens: int) -> None:
        wait = await self._budget.book(tokens)
        try:
            while (wait := max(wait, await self._budget.quiet())) > 0:
                await asyncio.sleep(wait)
                wait = 0.0
        except asyncio.CancelledError:
            await self._budget.correct(-tokens)
            raise

    def _check(self, seen: int | None) -> None:
        if seen is not None and seen < self.refusals and self._refusal:
            raise type(self._refusal)(self._refusal.message)

    def _refuse(self, error: PauseNeeded) -> None:
        self._sure = False
        self._refusal = error
        self.refusals += 1

    def request_tokens(self) -> int | None:
        """How many tokens one request should have at most; None where there is no reason to ask for few."""
        rates = self._budget.rates
        if rates.tokens_per_minute is None:
            return FIRST_TOKENS if self._learns and not self._sure else None
        rate = rates.tokens_per_minute / 60
        scarce = 2 / rates.requests_per_second if rates.requests_per_second else 0.0
        seconds = min(MOST_SECONDS, max(REQUEST_SECONDS, scarce, FEW_TOKENS / rate))
        return max(1, round(rate * seconds))

    def least_seconds(self, requests: float, tokens: float) -> float | None:
        """How long so many requests and tokens take at these rates; None without a limit."""
        rates = self._budget.rates
        takes = []
        if rates.requests_per_second:
            takes.append(requests / rates.requests_per_second)
        if rates.tokens_per_minute:
            takes.append(tokens * 60 / rates.tokens_per_minute)
        return max(takes, default=None)

    async def usage(self, pieces: Mapping[str, int] | None = None, watching: bool = False) -> Usage:
        """What this process has used lately; `pieces` is what it has in hand, by task. Who only watches is
        none of those who share the budget."""
        requests, tokens = self._meter.sums(_now())
        rates, quiet = await (self._budget.watched() if watching else self._told())
        limits = (rates.requests_per_second, rates.tokens_per_minute)
        return Usage(dict(pieces or {}), requests, tokens, self._queued, quiet, *limits)

    @property
    def spent(self) -> tuple[int, int]:
        """Requests that were answered, and their tokens, since the process began."""
        return self._meter.spent

    async def _told(self) -> tuple[Rates, float]:
        return self._budget.rates, await self._budget.quiet()

    async def pause(self, seconds: float) -> None:
        """A provider asked for quiet: nobody calls for so long."""
        await self._budget.pause(seconds)

    async def join(self) -> None:
        """Say that this process will call, and that it still lives."""
        await self._budget.join()

    async def close(self) -> None:
        await self._budget.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
