"""Where everything is in the table.

pk             sk                    one item for
tasks          order                 each task in the lists   by_state, by_lease, by_shelf
task#ID        task                  a task as it changes (small: every commit writes it)
task#ID        about                 what never changes of it: its spec
task#ID        chunk#number          each chunk               by_state
task#ID        child#order           each task of which it is the parent
same#print     unended               the tasks of that spec which have not ended
once#hash      once                  the task of an idempotency key
workers        id                    each worker
worker#ID      task#… or chunk#…     each piece of work that it holds
tenant#NAME    order                 each task of that tenant
namespaces, keys, accounts, pauses   by name, by id
meta           order, keys, tally    the last order given out; that there was a key; what departed workers did
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Any

from rowvec.ledgers.dynamodb.record import COUNTS
from rowvec.ledgers.dynamodb.table import Item, Key
from rowvec.model import Counts

TASKS, WORKERS, NAMESPACES, KEYS, ACCOUNTS = "tasks", "workers", "namespaces", "keys", "accounts"
PAUSES = "pauses"
ORDER: Key = ("meta", "order")
ANY_KEY: Key = ("meta", "keys")
TALLY: Key = ("meta", "tally")

_LONGEST_TEXT = 8_000
"""Characters of an error or a reason. An item is at most 400 KB."""

_LAST_NUMBER = 10**12 - 1


def ordinal(number: int) -> str:
    """Numbers sort as text when they are equally long."""
    return f"{min(max(number, 0), _LAST_NUMBER):012d}"


def instant(seconds: float) -> str:
    return f"{min(max(seconds, 0.0), 1e12):020.6f}"


def task_key(task_id: str) -> Key:
    return f"task#{task_id}", "task"


def about_key(task_id: str) -> Key:
    return f"task#{task_id}", "about"


def chunk_key(task_id: str, number: int) -> Key:
    return f"task#{task_id}", f"chunk#{ordinal(number)}"


def child_key(parent_id: str, order: int) -> Key:
    return f"task#{parent_id}", f"child#{ordinal(order)}"


def tenant_key(tenant: str, order: int) -> Key:
    return f"tenant#{tenant}", ordinal(order)


def same_key(fingerprint: str) -> Key:
    return f"same#{fingerprint}", "unended"


def once_key(idempotency_key: str) -> Key:
    return f"once#{sha256(idempotency_key.encode()).hexdigest()}", "once"


def holding_key(worker: str, task_id: str, number: int | None = None) -> Key:
    piece = f"task#{task_id}" if number is None else f"chunk#{task_id}#{ordinal(number)}"
    return f"worker#{worker}", piece


def piece_of(sort_key: str) -> tuple[str, int | None]:
    """The task, and for a chunk its number, of a piece of work that a worker holds."""
    kind, _, rest = sort_key.partition("#")
    task_id, _, number = rest.rpartition("#") if kind == "chunk" else (rest, "", "")
    return task_id, int(number) if number else None


def keyed(key: Key, /, **attributes: Any) -> Item:
    return {"pk": key[0], "sk": key[1], **attributes}


def short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} …"


def kept(values: Item, always: Collection[str] = ()) -> Item:
    """Without the zeros that nothing asks for: an item is charged by its size."""
    return {name: value for name, value in values.items() if name in always or value not in (None, 0)}


def counts_of(item: Item) -> Counts:
    return Counts(**{name: item[name] for name in COUNTS if name in item})
