"""A worker: claims work from the ledger, does several pieces at once, and says that it is alive."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import psutil
import structlog

from rowvec.aftermath import Aftermath
from rowvec.errors import RetryLater
from rowvec.handover import hand_all_over
from rowvec.in_flight import allowance
from rowvec.lease import Heartbeat, Lease
from rowvec.machine import Machine
from rowvec.model import Claim, Counts, WorkerInfo, WorkKind
from rowvec.pipeline import run_chunk
from rowvec.planning import run_plan
from rowvec.retry import RetryPolicy
from rowvec.settle import run_settle
from rowvec.sweeper import Sweeper, this_host
from rowvec.telling import Telling
from rowvec.waits import Waits

log = structlog.get_logger(__name__)
T = TypeVar("T")

RUN = {WorkKind.PLAN: run_plan, WorkKind.CHUNK: run_chunk, WorkKind.SETTLE: run_settle}


class Worker:
    """One process's share of the work. `slots` pieces run at once, so that waits overlap; more than
    the machine's parts can use would only cost memory.

    `poll` is the longest pause, in seconds, before an idle worker looks again; `grace` how long a
    stopping one lets its pieces end before it hands them back and puts down what they have paid for.
    `ring` is called when others may be asleep and there may be work for them: once for each task of which
    this worker gets chunks, with each lot of chunks that a plan of its own hands in, and whenever it has
    taken work back from the dead.
    """

    def __init__(
        self,
        machine: Machine,
        slots: int | None = None,
        poll: float = 0.25,
        grace: float = 5.0,
        retry: RetryPolicy | None = None,
        ring: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._machine = machine
        self._slots = slots or max(machine.embedder.in_flight, machine.store.in_flight)
        self._poll = poll
        self._grace = grace
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._heartbeat = Heartbeat(machine.limits.lease_seconds)
        self._waits = Waits()
        self.telling = Telling(machine)
        self._aftermath = Aftermath(machine, retry or RetryPolicy(), self._waits, self.telling)
        self._broken: BaseException | None = None
        self._woken = asyncio.Event()
        self._resting = asyncio.Event()
        self._ring = ring
        self._seen: deque[str] = deque(maxlen=64)
        self._has_more = False
        self.id = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then end or hand back what is running, and leave the ledger."""
        await self._enlist()
        helpers = [asyncio.create_task(self._beat()), asyncio.create_task(self._sweep())]
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._raise_if_broken(helpers)
                self._woken.clear()
                await self._fill()
                await self._idle(stopped)
        finally:
            stopped.cancel()
            await self._wind_down()
            self._resting.set()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, stopped, return_exceptions=True)
            await self._weather(self._say(), False)
            await self._machine.ledger.retire(self.id)

    def _raise_if_broken(self, helpers: list[asyncio.Task[None]]) -> None:
        """A fault of our own ends the process; it is started anew, and the sweeper takes back its work."""
        if self._broken:
            raise self._broken
        for helper in helpers:
            if helper.done():
                helper.result()

    async def _fill(self) -> None:
        """Claim as much as there are free slots for. What is not handed out now may be when a piece ends."""
        free = self._slots - len(self._running)
        claims = await self._weather(self._claim(free), []) if free > 0 else []
        for claim in claims:
            piece = asyncio.create_task(self._do(claim))
            self._running[piece] = claim
            piece.add_done_callback(self._ended)
        await self._tell_others(claims)

    async def _claim(self, most: int) -> list[Claim]:
        """While a provider is paused, nothing that would only wait for it."""
        closed = await self._machine.gates.closed(self._machine.ledger)
        return await self._machine.ledger.claim(self.id, most, (lambda _: 0) if closed else allowance)

    def _more(self) -> None:
        """A plan has handed in chunks: others may have looked before they were there."""
        self._has_more = True
        self._woken.set()

    def _ended(self, piece: asyncio.Task[None]) -> None:
        self._running.pop(piece, None)
        self._woken.set()
        if not piece.cancelled() and (error := piece.exception()):
            self._broken = error

    def wake(self) -> None:
        """Look for work at once."""
        self._woken.set()

    async def rest(self) -> None:
        """Look for work at once; returns when nothing runs any more and nothing more was handed out."""
        self._resting.clear()
        self.wake()
        await self._resting.wait()

    async def _tell_others(self, claims: Sequence[Claim]) -> None:
        tasks = {claim.task.id for claim in claims if claim.kind is WorkKind.CHUNK}
        new = tasks.difference(self._seen)
        self._seen.extend(new)
        has_more, self._has_more = self._has_more, False
        if (new or has_more) and self._ring:
            await self._ring()

    async def _idle(self, stopped: asyncio.Task[bool]) -> None:
        """Until a piece ends, the worker is woken or told to stop, or it is time to look again."""
        if not self._running and not self._woken.is_set():
            self._resting.set()
        woken = asyncio.create_task(self._woken.wait())
        await asyncio.wait({stopped, woken}, timeout=self._poll, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()

    async def _wind_down(self) -> None:
        if self._running:
            await asyncio.wait(set(self._running), timeout=self._grace)
        for piece in set(self._running):
            piece.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await hand_all_over(self._machine)

    # One piece of work

    async def _do(self, claim: Claim) -> None:
        machine, heart, more = self._machine, self._heartbeat, self._more
        begun = asyncio.get_running_loop().time()

        def done(counts: Counts) -> None:
            self.telling.committed(counts, asyncio.get_running_loop().time() - begun)

        refusals = machine.governor.refusals
        lease = Lease(machine.ledger, self.id, claim, heart, self._waits, machine.gates, more, done, refusals)
        try:
            await RUN[claim.kind](machine, lease)
        except Exception as error:  # noqa: BLE001 - here every error gets its meaning
            await self._aftermath.of(claim, self._machine.redact.clean(error), begun)

    # Being alive

    async def _enlist(self) -> None:
        process = psutil.Process()
        self.id = f"{this_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        asked_at = asyncio.get_running_loop().time()
        await self._machine.ledger.enlist(
            WorkerInfo(self.id, this_host(), os.getpid(), process.create_time(), self._slots)
        )
        self._heartbeat.renew(asked_at)
        log.info("worker enlisted", worker=self.id, slots=self._slots)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._machine.governor.join()
            await asyncio.sleep(self._machine.limits.lease_seconds / 6)
            asked_at = loop.time()
            alive = await self._weather(self._say(), None)
            if alive:
                self._heartbeat.renew(asked_at)
            elif alive is False:
                await self._rise_again()

    async def _say(self) -> bool:
        waits = {task: self._machine.redact(words) for task, words in self._waits.by_task().items()}
        pieces = Counter(claim.task.id for claim in self._running.values())
        usage = await self._machine.governor.usage(pieces)
        usage = replace(usage, memory=self.telling.memory(), tally=self.telling.told())
        return await self._machine.ledger.beat(self.id, len(self._running), waits, usage)

    async def _rise_again(self) -> None:
        """This worker was believed dead and holds nothing any more: drop it all, begin under a new name."""
        log.warning("worker was buried alive", worker=self.id)
        for piece in set(self._running):
            piece.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self.telling.under_a_new_name()
        await self._enlist()

    async def _sweep(self) -> None:
        sweeper = Sweeper(self._machine.ledger, self._machine.limits.lease_seconds)
        while True:
            if taken := await self._weather(sweeper.round(), 0):
                self.telling.taken_back += taken
                self._woken.set()
                if self._ring:
                    await self._ring()
            await sweeper.pause()

    async def _weather(self, call: Coroutine[Any, Any, T], otherwise: T) -> T:
        """The ledger's answer, or `otherwise` while it cannot be reached: the loops come round again."""
        try:
            return await call
        except RetryLater as error:
            log.warning("ledger unavailable", worker=self.id, error=error.message)
            return otherwise
