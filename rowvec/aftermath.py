"""What an error means for the piece of work that met it."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import structlog

from rowvec.errors import LeaseLost, PauseNeeded, ProviderPaused, RetryLater, TaskFailed, WrongState
from rowvec.handover import hand_over
from rowvec.machine import Machine
from rowvec.model import Claim, Flag
from rowvec.retry import RetryPolicy
from rowvec.telling import Telling
from rowvec.waits import Waits

log = structlog.get_logger(__name__)

PAUSED_SECONDS = 2.0
"""So long, at least, a piece of work rests that met a provider paused by hand."""


class Aftermath:
    """Lets go of the claim: hands it back or gives it up, and pauses its task where a person is needed."""

    def __init__(self, machine: Machine, retry: RetryPolicy, waits: Waits, telling: Telling) -> None:
        self._machine = machine
        self._retry = retry
        self._waits = waits
        self._telling = telling
        self._pauses = _Pauses()

    async def of(self, claim: Claim, error: Exception, begun: float) -> None:
        """Tell the ledger what an error means for the work, however long the ledger is away.

        `begun` is when the work was, on the event loop's clock. A lease lost meanwhile means that nothing is
        to be said.
        """
        pauses = isinstance(error, PauseNeeded) and self._pauses.are_news(claim.task.id, begun)
        while True:
            try:
                await self._tell(claim, error, pauses)
                return
            except LeaseLost:
                log.info("lease lost", **_where(claim))
                return
            except RetryLater as away:
                log.warning("ledger unavailable", error=away.message, **_where(claim))
                await asyncio.sleep(1.0)

    async def _tell(self, claim: Claim, error: Exception, pauses: bool) -> None:
        if isinstance(error, ProviderPaused):
            await hand_over(self._machine, claim)
            await self._hand_back(claim, None, await self._machine.ledger.now() + PAUSED_SECONDS)
        elif isinstance(error, PauseNeeded):
            if pauses:
                with suppress(WrongState):
                    await self._machine.ledger.flag(claim.task.id, Flag.PAUSE, error.message)
            await hand_over(self._machine, claim)
            await self._hand_back(claim, None, 0.0)
        elif isinstance(error, LeaseLost):
            # Where only our own clock ran out, the ledger still counts it as ours: nobody else would take it.
            await self._hand_back(claim, None, await self._machine.ledger.now() + 1.0)
        elif isinstance(error, TaskFailed):
            await self._give_up(claim, error.message)
        else:
            await self._again(claim, error)

    async def _again(self, claim: Claim, error: Exception) -> None:
        attempts = (claim.chunk.attempts if claim.chunk else claim.task.attempts) + 1
        wait = self._retry.wait(attempts, error)
        log.warning(
            "work failed", error=type(error).__name__, attempts=attempts, **_where(claim), exc_info=error
        )
        if wait is None:
            await self._give_up(claim, f"gave up after {attempts} attempts: {self._words(error)}")
        else:
            now = await self._machine.ledger.now()
            await self._hand_back(claim, self._words(error), now + wait)
            self._telling.retried(claim)
            if isinstance(error, RetryLater):
                self._waits.handed_back(claim, error.message, wait)

    def _words(self, error: Exception) -> str:
        return self._machine.redact(str(error)) or type(error).__name__

    async def _hand_back(self, claim: Claim, error: str | None, not_before: float) -> None:
        ledger, task_id = self._machine.ledger, claim.task.id
        if claim.chunk:
            await ledger.hand_back(task_id, claim.chunk.plan.number, claim.fence, error, not_before)
        else:
            await ledger.release(task_id, claim.fence, error, not_before)

    async def _give_up(self, claim: Claim, error: str) -> None:
        ledger, task_id = self._machine.ledger, claim.task.id
        if claim.chunk:
            await ledger.give_up(task_id, claim.chunk.plan.number, claim.fence, error)
            self._telling.given_up(claim)
        else:
            await ledger.fail(task_id, claim.fence, error)


class _Pauses:
    """When this process last paused which task: work that was begun before tells nothing new. Its task is on
    hold still, or somebody has let it go on since, and would see it stop again for what is mended."""

    def __init__(self, most: int = 1_000) -> None:
        self._most = most
        self._at: OrderedDict[str, float] = OrderedDict()

    def are_news(self, task_id: str, begun: float) -> bool:
        """Is a task to be paused for work that was begun then? If so, that is noted."""
        if begun <= self._at.get(task_id, -math.inf):
            return False
        self._at[task_id] = asyncio.get_running_loop().time()
        self._at.move_to_end(task_id)
        if len(self._at) > self._most:
            self._at.popitem(last=False)
        return True


def _where(claim: Claim) -> dict[str, Any]:
    """Ids for a log line, never a row's text."""
    return {
        "kind": str(claim.kind),
        "task": claim.task.id,
        "chunk": claim.chunk.plan.number if claim.chunk else None,
        "fence": claim.fence,
    }
