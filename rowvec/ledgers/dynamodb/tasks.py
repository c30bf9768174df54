"""The way of a task into its items and back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from rowvec.errors import InvalidRequest
from rowvec.ledgers.books.rules import Entry
from rowvec.ledgers.dynamodb.keys import (
    TASKS,
    about_key,
    counts_of,
    kept,
    keyed,
    ordinal,
    short,
    task_key,
)
from rowvec.ledgers.dynamodb.record import TALLIES, Listing, Record, listing
from rowvec.ledgers.dynamodb.table import Item
from rowvec.model import Hold, Task, TaskState
from rowvec.spec import TaskSpec

_SPEC_AS_TEXT = 64 * 1024
_SPEC_PACKED = 350 * 1024
_CHANGING = (
    *("reason", "error", "planned", "blank_lines", "chunks_failed", "rows_failed", "started_at"),
    *("planned_at", "completed_at", "progressed_at", "attempts", "fence", "worker", *TALLIES),
)
_OWN = ("claimed", "open", "asleep", "due", "resumes", "retries", "rev", "shape")
_GUARDED = ("claimed", "open", "shape")
"""Stored even when they are 0, since additions are made on condition that they are."""

_TIMES = ("started_at", "planned_at", "completed_at", "progressed_at")


@dataclass(frozen=True, slots=True)
class About:
    """What never changes of a task, once its spec is closed."""

    spec: TaskSpec
    order: int
    created_at: float
    fingerprint: str
    key: str | None


class Lore:
    """What was read of some tasks and never changes. Forgets the oldest; shared between threads."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._known: dict[str, About] = {}

    def get(self, task_id: str) -> About | None:
        return self._known.get(task_id)

    def forget(self, task_id: str) -> None:
        self._known.pop(task_id, None)

    def keep(self, task_id: str, about: About) -> None:
        if about.spec.wish is not None:
            return
        self._known[task_id] = about
        while len(self._known) > self._most:
            self._known.pop(next(iter(self._known)), None)


def about_item(entry: Entry) -> Item:
    """Raises InvalidRequest when the spec does not fit into an item."""
    task = entry.task
    return keyed(
        about_key(task.id),
        order=entry.order,
        created_at=task.created_at,
        fingerprint=entry.fingerprint,
        key=entry.key,
        **_spec_item(task.spec),
    )


def _spec_item(spec: TaskSpec) -> Item:
    text = spec.to_json()
    if len(text) <= _SPEC_AS_TEXT:
        return {"spec": text}
    small = zlib.compress(text.encode())
    if len(small) > _SPEC_PACKED:
        raise InvalidRequest(
            f"This table's columns and options take {len(small):,} bytes; a ledger in DynamoDB holds "
            f"{_SPEC_PACKED:,}. Submit fewer or shorter columns, or use another ledger (LEDGER_URL)."
        )
    return {"spec_packed": small}


def about_of(item: Item) -> About:
    text = item["spec"] if "spec" in item else zlib.decompress(item["spec_packed"])
    return About(
        TaskSpec.from_json(text),
        item["order"],
        float(item["created_at"]),
        item["fingerprint"],
        item.get("key"),
    )


def task_item(record: Record) -> Item:
    """All that may change of a task; zeros are left out where nothing asks for them."""
    entry, task = record.entry, record.entry.task
    values = {
        **{name: getattr(task, name) for name in _CHANGING},
        **task.counts.as_dict(),
        **{name: getattr(record, name) for name in _OWN},
        "crashes": entry.crashes,
        "not_before": entry.not_before,
        "reason": short(task.reason),
        "error": short(task.error),
    }
    hold = task.hold.value or None
    return keyed(task_key(task.id), state=task.state.value, hold=hold, **kept(values, (*_GUARDED, *_TIMES)))


def record_of(item: Item, about: About) -> Record:
    own: dict[str, Any] = {name: item[name] for name in _CHANGING if name in item}
    own |= {name: float(item[name]) for name in _TIMES if name in item}
    task = Task(
        id=item["pk"].partition("#")[2],
        spec=about.spec,
        state=TaskState(item["state"]),
        hold=Hold(item.get("hold", "")),
        counts=counts_of(item),
        created_at=about.created_at,
        order=about.order,
        **own,
    )
    entry = Entry(
        task,
        about.fingerprint,
        about.key,
        crashes=item.get("crashes", 0),
        not_before=float(item.get("not_before", 0)),
    )
    ours: dict[str, Any] = {name: item[name] for name in _OWN if name in item}
    return Record(entry, **ours | {"due": float(item.get("due", 0))})


def list_item(record: Record) -> Item:
    listed, order = listing(record), ordinal(record.entry.order)
    return keyed(
        (TASKS, order),
        task=record.entry.task.id,
        by_state=f"{listed.seen}#{order}",
        **_waiting(listed, order),
    )


def _waiting(listed: Listing, order: str) -> Item:
    lease = {"by_lease": f"{listed.lease}#{order}", "not_before": listed.not_before} if listed.lease else {}
    shelf = {"by_shelf": f"{listed.shelf}#{order}", "due": listed.due} if listed.shelf else {}
    return lease | shelf
