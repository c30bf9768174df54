"""Which chunks a worker may take: found in lists of what is ready, never by looking at what is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books.rules import Shelf
from rowvec.ledgers.dynamodb.chunks import FAILED, READY, WAIT, failures, waits
from rowvec.ledgers.dynamodb.draft import Draft
from rowvec.ledgers.dynamodb.keys import TASKS, piece_of
from rowvec.ledgers.dynamodb.record import AT_WORK, UNTOUCHED, Record, listing
from rowvec.ledgers.dynamodb.table import LAST, Item
from rowvec.model import Chunk, Task

_LOOKED_AT = 25
"""How many tasks are read at once."""

_AWAKE = 100
"""Of the chunks whose time came or which are tried anew, so many are looked at for the lowest numbers."""

_NOTED = 8
"""Of how many tasks one transaction may note that nothing is due: it is at most 100 writes long."""


def laden(
    draft: Draft, worker: str, most: int, most_per_task: Allowance | None
) -> list[tuple[Shelf, list[Chunk]]]:
    """Up to `most` shelves and what is due on each: those with fewest claimed chunks first, then by age."""
    held = _Held(draft, worker, most_per_task)
    noted = 0
    found: list[tuple[Shelf, list[Chunk]]] = []
    for record in _candidates(draft):
        room = min(most, held.room(record.entry.task, most))
        due = _due(draft, record, room) if room > 0 else []
        if due:
            found.append((Shelf(record.entry.task, record.claimed, len(due)), due))
        elif room > 0 and noted < _NOTED:
            noted += _note_wait(draft, record)
        if len(found) == most:
            break
    return found


class _Held:
    """How much more of a task the worker may take; what it holds is asked for when somebody wants to know."""

    def __init__(self, draft: Draft, worker: str, most_per_task: Allowance | None) -> None:
        self._draft = draft
        self._worker = worker
        self._most_per_task = most_per_task
        self._mine: Counter[str] | None = None

    def room(self, task: Task, most: int) -> int:
        if self._most_per_task is None:
            return most
        if self._mine is None:
            held = self._draft.table.query(f"worker#{self._worker}", "chunk#", f"chunk#{LAST}")
            self._mine = Counter(piece_of(item["sk"])[0] for item in held)
        return self._most_per_task(task) - self._mine[task.id]


def _candidates(draft: Draft) -> Iterator[Record]:
    """Tasks with ready chunks: those of which nothing is claimed, by age, then the others by how much is."""
    at_work = []
    for record in _listed(draft):
        if record.claimed:
            at_work.append(record)
        else:
            yield record
    yield from sorted(at_work, key=lambda record: (record.claimed, record.entry.order))


def _listed(draft: Draft) -> Iterator[Record]:
    """The untouched shelf sorts before the one at work, which is as long as there are workers."""
    listed = draft.table.query(
        TASKS, f"{UNTOUCHED}#", f"{AT_WORK}#{LAST}", "by_shelf", page=_LOOKED_AT, until=("due", draft.now)
    )
    while ids := [item["task"] for item in islice(listed, _LOOKED_AT)]:
        yield from (r for r in draft.records(ids) if listing(r).shelf in (UNTOUCHED, AT_WORK))


def _due(draft: Draft, record: Record, room: int) -> list[Chunk]:
    items = list(islice(_kept(draft, record, f"{READY}#", f"{READY}#{LAST}", room), room))
    if record.asleep:
        awake = _kept(draft, record, f"{WAIT}#", f"{waits(record, draft.now)}#{LAST}", _AWAKE)
        again = _kept(draft, record, f"{FAILED}#", failures(record.retries), _AWAKE)
        items += [*islice(awake, _AWAKE), *islice(again, _AWAKE)]
    chunks = sorted((draft.read(record, item) for item in items), key=lambda chunk: chunk.plan.number)
    return chunks[:room]


def _note_wait(draft: Draft, record: Record) -> bool:
    """Nothing of the task is due: nobody need look at it before its next chunk is."""
    later = _kept(draft, record, f"{waits(record, draft.now)}#{LAST}", f"{WAIT}#{LAST}", 1)
    first = next(later, None)
    if first is None:
        return False
    draft.change(replace(record, due=float(first["not_before"])))
    return True


def _kept(draft: Draft, record: Record, low: str, high: str, page: int) -> Iterator[Item]:
    return draft.table.query(f"task#{record.entry.task.id}", low, high, "by_state", page=page)
