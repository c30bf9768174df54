"""What a task may still spend: its own budget, and the tokens of the day of the key that submitted it.

Before texts are sent, the most they can cost is taken from both; what they did cost is known after, and the
rest given back. Where no answer came, nobody knows whether it was paid, and nothing is given back: a budget
is never exceeded. All of it is counted in the ledger, so that it holds for all workers together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rowvec.errors import BudgetReached, InputRefused, PauseNeeded, RateLimited
from rowvec.ledgers.base import Ledger
from rowvec.ledgers.register import task_account
from rowvec.model import DAY, Task

UNPAID = (InputRefused, PauseNeeded, RateLimited)
"""Refusals: whoever says these has not worked."""


def day_account(account: str) -> str:
    """Of the tokens of a day."""
    return f"tokens {account}"


def most_tokens(tokens: int | None, dollars: float | None, price: float) -> int | None:
    """The narrower of two budgets, in tokens; `price` is in dollars per million. Without a price there is
    nothing that dollars could limit."""
    budgets = [] if tokens is None else [tokens]
    if dollars is not None and price:
        budgets.append(int(dollars / price * 1e6))
    return min(budgets, default=None)


@dataclass(frozen=True, slots=True)
class _Limit:
    account: str
    most: int
    every: float
    words: str
    remedy: str


@dataclass(slots=True)
class Taken:
    """Tokens that were taken out; `spent` is set once it is known."""

    most: int
    spent: int | None = None


@dataclass(frozen=True, slots=True)
class Purse:
    """Of one task, at one moment."""

    ledger: Ledger
    limits: tuple[_Limit, ...]

    @classmethod
    async def of(cls, ledger: Ledger, task: Task) -> Purse:
        limits = []
        if task.spec.max_tokens is not None:
            limits.append(_own(task))
        if task.spec.account:
            key = await ledger.key(task.spec.account)
            if key is not None and key.grants.tokens_per_day is not None:
                limits.append(_of_the_day(task.spec.account, key.grants.tokens_per_day))
        return cls(ledger, tuple(limits))

    @property
    def is_open(self) -> bool:
        """May it be spent from without counting?"""
        return not self.limits

    @asynccontextmanager
    async def taken(self, most: int) -> AsyncIterator[Taken]:
        """So many tokens for what happens within. Raises BudgetReached, and then nothing was taken."""
        taken = Taken(most)
        await self._take(most)
        try:
            yield taken
        except UNPAID:
            await self._give_back(most)
            raise
        if taken.spent is not None:
            await self._give_back(most - taken.spent)

    async def _take(self, most: int) -> None:
        for place, limit in enumerate(self.limits):
            if not await self.ledger.draw(limit.account, most, limit.most, limit.every):
                for earlier in self.limits[:place]:
                    await self.ledger.draw(earlier.account, -most, earlier.most, earlier.every)
                used = await self.ledger.drawn(limit.account, limit.every)
                raise BudgetReached(
                    f"{limit.words}: {used:,} are spent or on their way, and the next texts may "
                    f"cost {most:,}. They were not sent, and what has landed stays. {limit.remedy}"
                )

    async def _give_back(self, tokens: int) -> None:
        for limit in self.limits:
            await self.ledger.draw(limit.account, -tokens, limit.most, limit.every)


def _own(task: Task) -> _Limit:
    most = task.spec.max_tokens or 0
    words = f"This task may spend {most:,} tokens (max_tokens or max_dollars)"
    remedy = 'Resume the task with {"more_tokens": …}, or cancel it.'
    return _Limit(task_account(task.id), most, 0.0, words, remedy)


def _of_the_day(account: str, most: int) -> _Limit:
    words = f"The API key of this task may use {most:,} tokens a day (UTC)"
    return _Limit(day_account(account), most, DAY, words, "Resume the task tomorrow, or cancel it.")
