"""What a worker that lets go of chunks has paid for, left where whoever goes on with them finds it."""

from __future__ import annotations

import asyncio

import structlog

from rowvec.errors import RetryLater
from rowvec.leftovers import drop_leftovers
from rowvec.machine import Machine
from rowvec.model import Claim
from rowvec.paid import put_down
from rowvec.spool import FOR_GOOD

log = structlog.get_logger(__name__)

LAST_SECONDS = 8.0
"""That a stopping worker has, after its grace, for the answers on their way and for putting all down."""


async def hand_over(machine: Machine, claim: Claim) -> None:
    """Of this chunk. What the file store does not take stays with this process."""
    await put_down(machine.files, machine.kept, claim)
    try:
        task = await machine.ledger.task(claim.task.id)
        if task.state in FOR_GOOD:  # it ended meanwhile, by another worker or by a caller
            await drop_leftovers(machine, task)
    except RetryLater as away:
        log.warning("what a task has put down may lie for a while", task=claim.task.id, error=away.message)


async def hand_all_over(machine: Machine) -> None:
    """Of all that this process has in hand, in LAST_SECONDS at most."""
    try:
        async with asyncio.timeout(LAST_SECONDS):
            await asyncio.gather(*(hand_over(machine, claim) for claim in machine.kept.claims()))
    except TimeoutError:
        log.warning("what was paid for could not be put down in time")
