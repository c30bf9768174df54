"""An event loop that does what is ready in an order that the seed chooses, in virtual time and one thread.

What belongs to a process that is gone is never done, what belongs to a stopped one waits for it to go on.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, TypeVar

from tests.simulation.process import LIFE, Life
from tests.virtual_time import Selector, VirtualLoop

T = TypeVar("T")
OnStep = Callable[[Life], None]


class SeededLoop(VirtualLoop):
    """`on_step` is asked before each step of a process, and may let it be gone or stopped there and then.

    After `end` everything runs, so that all that was left can be cleared away.
    """

    def __init__(self, chance: random.Random, on_step: OnStep) -> None:
        super().__init__(_NoSockets())
        self.chance = chance
        self.ending = False
        self.steps = 0
        self._on_step = on_step
        self._numbers = 0
        self._held: defaultdict[Life, list[asyncio.Handle]] = defaultdict(list)
        self._ready = _Ready(self)
        self._nothing = asyncio.Handle(_nothing, (), self)
        self._nothing.cancel()
        self.set_task_factory(_new_task)
        self.set_exception_handler(lambda loop, context: None)

    def number(self) -> int:
        """Another one each time."""
        self._numbers += 1
        return self._numbers

    def admit(self, handle: asyncio.Handle) -> asyncio.Handle:
        """The handle itself, or one that does nothing."""
        life = handle._context.get(LIFE)  # type: ignore[attr-defined]
        if life is None or self.ending:
            return handle
        self.steps += 1
        self._on_step(life)
        if life.gone or life.stopped:
            self._held[life].append(handle)
            return self._nothing
        return handle

    def go_on(self, life: Life) -> None:
        """A stopped process runs again, with all that has come for it meanwhile."""
        life.stopped = False
        self._ready.extend(self._held.pop(life, ()))

    def end(self) -> None:
        """What gone and stopped processes have left runs on, that it may be cancelled."""
        self.ending = True
        for handles in self._held.values():
            self._ready.extend(handles)

    def create_future(self) -> _Future:
        return _Future(loop=self)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> _Future:  # type: ignore[override]
        """A step of its own, of the process that asked for it. Begun or not: cancelled, it may be done all
        the same, as a thread would."""
        future = self.create_future()
        self.call_later(
            self.chance.expovariate(1 / 0.002), self._work, future, func, args, context=copy_context()
        )
        return future

    def _work(self, future: _Future, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if future.cancelled() and (self.ending or self.chance.random() < 0.5):
            return
        try:
            result = func(*args)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            if not future.done():
                future.set_exception(error)
            return
        if not future.done():
            future.set_result(result)


class _NoSockets(Selector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return []


class _Ready(deque[asyncio.Handle]):
    def __init__(self, loop: SeededLoop) -> None:
        super().__init__()
        self._loop = loop

    def popleft(self) -> asyncio.Handle:
        """Any of them. asyncio promises an order; no network, thread or process keeps to one."""
        at = int(self._loop.chance.random() * len(self))
        handle = self[at]
        del self[at]
        return self._loop.admit(handle)


class _Future(asyncio.Future[Any]):
    """Sets of these are in the same order in every run: an address is another one each time."""

    def __init__(self, *, loop: SeededLoop) -> None:
        self._number = loop.number()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class _Task(asyncio.Task[Any]):
    """As `_Future`."""

    def __init__(self, coro: Any, *, loop: SeededLoop, **rest: Any) -> None:
        self._number = loop.number()
        super().__init__(coro, loop=loop, **rest)

    def __hash__(self) -> int:
        return self._number


def _new_task(loop: Any, coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **rest: Any) -> _Task:
    return _Task(coro, loop=loop, **rest)


def _nothing() -> None:
    return
