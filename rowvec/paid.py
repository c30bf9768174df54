"""What is paid for and has not landed when work is put off lies in the file store, for whoever goes on."""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

import msgspec
import structlog

from rowvec.errors import PauseNeeded, RetryLater
from rowvec.filestores.base import FileStore
from rowvec.kept import Held, Kept
from rowvec.model import Claim

log = structlog.get_logger(__name__)


class Paid(msgspec.Struct, frozen=True):
    """The answers for one chunk's texts, as far as they came.

    `digest` is of the texts and of what embedded them. `done` has a bit for each text that was answered,
    `vectors` the little-endian float32 values of those; `refused` has the reasons by entry.
    """

    digest: bytes
    done: bytes
    vectors: bytes
    tokens: int
    refused: dict[int, str]


class Job(Held, Protocol):
    """The texts of one chunk on their way."""

    async def answers(self) -> None:
        """Wait for all that is under way."""

    def paid(self) -> Paid:
        """All that has been answered so far."""


J = TypeVar("J", bound=Job)


async def put_down(files: FileStore, kept: Kept[J], claim: Claim) -> None:
    """Store what is kept of this chunk, once all answers have come that are under way.

    Where the file store does not take it, it stays with this process: what is lost by that is money at most.
    """
    job = kept.of(claim)
    if job is None:
        return
    await job.answers()
    paid = await asyncio.to_thread(job.paid)
    try:
        if any(paid.done):
            await files.write(_name(claim), msgspec.msgpack.encode(paid))
    except (RetryLater, PauseNeeded) as error:
        log.warning("what was paid for stays with this worker", task=claim.task.id, error=error.message)
    else:
        kept.drop(claim)


async def pick_up(files: FileStore, claim: Claim) -> Paid | None:
    """What an earlier attempt at this chunk has put down. Raises RetryLater, PauseNeeded."""
    if claim.chunk is None or claim.fence == 1:
        return None
    try:
        return msgspec.msgpack.decode(await files.read(_name(claim)), type=Paid)
    except FileNotFoundError:
        return None


async def drop_paid(files: FileStore, task_id: str) -> None:
    """Remove all that was put down of a task of which nothing is embedded any more."""
    for name in await files.names(_prefix(task_id)):
        await files.delete(name)


def _name(claim: Claim) -> str:
    number = claim.chunk.plan.number if claim.chunk else -1
    return f"{_prefix(claim.task.id)}{number:08d}.msgpack"


def _prefix(task_id: str) -> str:
    return f"tasks/{task_id}/paid/"
