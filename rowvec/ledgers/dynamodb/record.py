"""A task as this ledger keeps it, and what follows from it: its place in the lists, and how it is written.

A task's item is hot: every claim and commit writes it. Writes that only count (`commutes`) are additions
that do not disturb each other; any other write replaces the item, if nobody else wrote it meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from rowvec.ledgers.books.rules import Entry, seen_as
from rowvec.model import Chunk, ChunkState, Counts, Hold, TaskState

COUNTS = tuple(field.name for field in fields(Counts))
TALLIES = ("rows_planned", "chunks_total", "chunks_done", "version")
"""Numbers of a task that only grow by additions while it is at work, beside its counts."""

_OWN = ("claimed", "open", "asleep", "rev")
"""Numbers of a record that only this ledger knows and that additions change."""


@dataclass(frozen=True, slots=True)
class Record:
    """An entry, with what this ledger needs to find its way.

    `claimed` chunks are held by workers, `open` ones are ready, now or later; `asleep` are kept where
    they are not handed out from at once: they wait for their time or failed. Nothing of the task is
    to be handed out before `due`. `resumes` and `retries` count those wishes: a chunk that waits or
    failed under a smaller number does so no longer. `rev` grows with every write, `shape` with every
    one that is not an addition.
    """

    entry: Entry
    claimed: int = 0
    open: int = 0
    asleep: int = 0
    due: float = 0.0
    resumes: int = 0
    retries: int = 0
    rev: int = 0
    shape: int = 0

    def change(self, claimed: int = 0, open: int = 0, asleep: int = 0) -> Record:
        return replace(
            self, claimed=self.claimed + claimed, open=self.open + open, asleep=self.asleep + asleep
        )


# Where it stands in the lists


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list of tasks says of one: `seen` by callers, the `lease` that it waits for, the `shelf`
    its chunks are on, the times before which there is nothing to hand out."""

    seen: str
    lease: str | None
    shelf: str | None
    not_before: float
    due: float


PLAN, SETTLE = "plan", "settle"
UNTOUCHED, AT_WORK, OUT = "0", "1", "out"
"""Shelves: no chunk is claimed; some are; all that is not done is claimed."""


def listing(record: Record) -> Listing:
    entry = record.entry
    return Listing(seen_as(entry.task), _lease(entry), _shelf(record), entry.not_before, record.due)


def _lease(entry: Entry) -> str | None:
    task = entry.task
    if task.hold or task.worker is not None:
        return None
    if task.state in (TaskState.PENDING, TaskState.PLANNING):
        return PLAN
    return SETTLE if task.state is TaskState.SETTLING else None


def _shelf(record: Record) -> str | None:
    task = record.entry.task
    if task.hold or task.state not in (TaskState.PLANNING, TaskState.PROCESSING):
        return None
    if record.open:
        return AT_WORK if record.claimed else UNTOUCHED
    return OUT if task.state is TaskState.PROCESSING else None


# How it is written


def commutes(before: Record, after: Record) -> bool:
    """May the change be written as an addition, whatever other additions come in between?

    Not where a list changes, or where the last chunk of a kind comes or goes: that may end a task.
    """
    kept = (before.claimed > 0, before.open > 0) == (after.claimed > 0, after.open > 0)
    return kept and listing(before) == listing(after) and _still(before) == _still(after)


def _still(record: Record) -> Record:
    """All that additions leave alone."""
    no_tallies: dict[str, Any] = dict.fromkeys(TALLIES, 0)
    no_numbers: dict[str, Any] = dict.fromkeys(_OWN, 0)
    task = replace(record.entry.task, counts=Counts(), progressed_at=None, **no_tallies)
    return replace(record, entry=replace(record.entry, task=task), **no_numbers)


def increments(before: Record, after: Record) -> Mapping[str, int]:
    old, new = _numbers(before), _numbers(after)
    return {name: new[name] - old[name] for name in new if new[name] != old[name]} | {"rev": 1}


def moments(before: Record, after: Record) -> Mapping[str, float]:
    """Times that an addition moves; of several at once, any will do."""
    at = after.entry.task.progressed_at
    return {} if at is None or at == before.entry.task.progressed_at else {"progressed_at": at}


def _numbers(record: Record) -> dict[str, int]:
    task = record.entry.task
    return {
        **task.counts.as_dict(),
        **{name: getattr(task, name) for name in TALLIES},
        **{name: getattr(record, name) for name in _OWN},
    }


def guards(before: Record, after: Record) -> list[tuple[str, str, int]]:
    """What must still hold for an addition: the shape, and that no last chunk of a kind comes or goes."""
    tests = [("shape", "=", before.shape)]
    for name in ("claimed", "open"):
        there, then = getattr(before, name), getattr(after, name)
        tests.append((name, ">", max(0, there - then)) if there else (name, "=", 0))
    return tests


# What a change of a chunk means for its task


def moved(record: Record, before: Chunk | None, after: Chunk, slept: bool, sleeps: bool) -> Record:
    """`slept` and `sleeps`: is the chunk kept among those asleep, before and after?"""
    was = before.state if before else None
    record = record.change(
        claimed=(after.state is ChunkState.CLAIMED) - (was is ChunkState.CLAIMED),
        open=(after.state is ChunkState.READY) - (was is ChunkState.READY),
        asleep=sleeps - slept,
    )
    return (
        replace(record, due=min(record.due, after.not_before)) if after.state is ChunkState.READY else record
    )


def resumed(record: Record) -> Record:
    """No chunk waits any longer."""
    return replace(record, resumes=record.resumes + 1, due=0.0)


def retried(record: Record) -> Record:
    """Failed chunks are ready, as if never tried. To be asked while the entry still counts them."""
    reopened = replace(record, retries=record.retries + 1, due=0.0)
    return reopened.change(open=record.entry.task.chunks_failed)


def may_have_ended(record: Record) -> bool:
    task = record.entry.task
    return task.hold is Hold.CANCELLING or (task.state is TaskState.PROCESSING and not record.open)
