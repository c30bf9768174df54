"""Calls to what is elsewhere: a request that is under way takes effect whatever becomes of who sent it.

It takes effect within SOON, or never; the answer may take longer, get lost, or find nobody.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rowvec.errors import RowvecError, Unavailable
from tests.simulation.faults import Dice, Fate
from tests.simulation.loop import SeededLoop
from tests.simulation.problem import Kind, Problem, told
from tests.simulation.process import LIFE, NOBODY
from tests.simulation.trace import Trace

T = TypeVar("T")
SOON = 0.02
SLOW = 2.0
FOR_EVER = 1_000.0
EXPECTED = (RowvecError, FileNotFoundError, ValueError)
"""What a part may raise. Anything else is a fault of ours, whatever becomes of it at the other end."""


class Wire:
    """What breaks where a call is served is added to `broken`."""

    def __init__(self, dice: Dice, chance: random.Random, trace: Trace, broken: list[Problem]) -> None:
        self.dice = dice
        self._chance = chance
        self.trace = trace
        self._broken = broken

    async def call(self, what: str, do: Callable[[], T], fate: Fate) -> T:
        """What `do` gives, done elsewhere. Raises what it raises, and Unavailable."""
        loop = running()
        reply: asyncio.Future[T] = loop.create_future()
        if fate is not Fate.FINE:
            self.trace.add(f"{LIFE.get()}: {what}: {fate}")
        loop.call_later(self._soon(), self._serve, what, do, fate, reply, context=NOBODY)
        return await reply

    def _serve(self, what: str, do: Callable[[], T], fate: Fate, reply: asyncio.Future[T]) -> None:
        outcome: Callable[[], None]
        try:
            if fate is Fate.AWAY:
                raise Unavailable(f"{what}: connection refused")
            result = do()
            if fate is Fate.LOST:
                raise Unavailable(f"{what}: no answer came")
            outcome = lambda: reply.set_result(result)  # noqa: E731
        except Exception as error:  # noqa: BLE001 - whoever waits gets it, and must not wait for ever
            self.judge(what, error)
            failure = error
            outcome = lambda: reply.set_exception(failure)  # noqa: E731
        running().call_later(self._back(fate), _unless_done, reply, outcome, context=NOBODY)

    def judge(self, what: str, error: Exception) -> None:
        """Note an error that no part may raise, and end the run: nothing after it means anything."""
        if not isinstance(error, EXPECTED):
            self._broken.append(Problem(Kind.OTHER, f"{what} broke: {told(error)}"))
            running().stop()

    def _soon(self) -> float:
        return self._chance.random() * SOON

    def _back(self, fate: Fate) -> float:
        longest = {Fate.SLOW: SLOW, Fate.LOST: SLOW}.get(fate, SOON)
        return FOR_EVER if fate is Fate.HANGS else self._chance.random() * longest


def _unless_done(reply: asyncio.Future[Any], outcome: Callable[[], None]) -> None:
    if not reply.done():
        outcome()


def running() -> SeededLoop:
    """The loop. Raises CancelledError when all is over: nothing has an effect any more."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SeededLoop):
        raise TypeError("this loop has no seed")
    if loop.ending:
        raise asyncio.CancelledError
    return loop


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise TypeError("it waits")
