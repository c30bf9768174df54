"""Calls of the vector store that end in time: one that hangs must not outlive the lease it is made under.

One that fails is tried again in its place: who settles a task or proves it makes thousands of them, and
would begin from the first one else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rowvec.errors import Unavailable
from rowvec.gates import VECTOR_STORE
from rowvec.lease import Lease
from rowvec.machine import Machine
from rowvec.retry import outlast
from rowvec.vectors import Stamp
from rowvec.vectorstores.base import VectorStore

T = TypeVar("T")
SHARE = 0.9
"""Of what is left of a lease: so much of it a call may take."""


async def in_time(left: float, what: str, call: Awaitable[T]) -> T:
    """The call's result. Raises Unavailable when it takes longer than its share of the `left` seconds."""
    seconds = SHARE * left
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError as error:
        raise Unavailable(f"the vector store took longer than {seconds:.0f} s {what}") from error


class Trying(Protocol):
    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, of one try or of several."""


async def once(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


@dataclass(frozen=True, slots=True)
class TimedStore:
    """One namespace of a vector store. `left` tells before each try how many seconds there are for it.

    Each call raises what the store raises, what `left` raises, and Unavailable when it takes longer.
    """

    store: VectorStore
    namespace: str
    left: Callable[[], Awaitable[float]]
    trying: Trying = once

    @staticmethod
    def under(store: VectorStore, lease: Lease) -> TimedStore:
        """For the holder of a claim, who asks before each try whether it still is, and whether the store is
        paused. Weather is outlasted."""

        async def left() -> float:
            await lease.gates.check(lease.ledger, VECTOR_STORE)
            return await lease.check()

        async def trying(call: Callable[[], Awaitable[T]]) -> T:
            return await outlast(lease, call)

        return TimedStore(store, lease.claim.task.spec.namespace, left, trying)

    @staticmethod
    def at_the_door(machine: Machine, namespace: str) -> TimedStore:
        """For who holds no claim: a call may take as long as a lease lasts."""

        async def left() -> float:
            return machine.limits.lease_seconds

        return TimedStore(machine.store, namespace, left)

    async def prepare(self, dimension: int) -> None:
        await self._timed("to make a namespace ready", lambda: self.store.prepare(self.namespace, dimension))

    async def catch_up(self) -> None:
        await self._timed("to show what was written", lambda: self.store.catch_up(self.namespace))

    async def stamps(self, row_ids: Sequence[str]) -> list[Stamp]:
        return await self._timed("to find rows", lambda: self.store.stamps(self.namespace, row_ids))

    async def delete(self, ids: Sequence[str]) -> None:
        await self._timed("to remove vectors", lambda: self.store.delete(self.namespace, ids))

    async def count(self) -> int:
        return await self._timed("to count vectors", lambda: self.store.count(self.namespace))

    async def holds_others(self, task_id: str, own: int) -> bool:
        """Are there vectors beside the `own` ones of this task? In doubt, yes."""
        return await self._timed(
            "to count vectors", lambda: self.store.holds_others(self.namespace, task_id, own)
        )

    async def of_task(self, task_id: str) -> AsyncIterator[Sequence[Stamp]]:
        """The stamps of all vectors of this task, some at a time, each portion in its own time.

        Tried once: a list that was broken off does not go on.
        """
        portions = self.store.of_task(self.namespace, task_id)
        while (portion := await self._once("to list vectors", lambda: anext(portions, None))) is not None:
            yield portion

    async def _timed(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        return await self.trying(lambda: self._once(what, call))

    async def _once(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        return await in_time(await self.left(), what, call())
