"""The statements of every chunk and every status, made once.

To put them together took two thirds of the CPU of a claim, and the database a thirtieth to answer them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select, update

from rowvec.ledgers.books import rules
from rowvec.ledgers.sql.tables import chunks, tasks, workers
from rowvec.model import ChunkState, TaskState

OPEN = {"key_share": True}
"""How a task is held while others may still claim its chunks."""

FREE = {"skip_locked": True}
"""How what anybody may take is held: what others hold at this moment is passed over."""

Both = tuple[Select[Any], Select[Any]]
"""A statement for who only reads, and the same for who writes and holds what it reads."""


def held(query: Select[Any], **how: Any) -> Both:
    return query, query.with_for_update(**how)


def is_(state: ChunkState) -> ColumnElement[bool]:
    return chunks.c.state == state.value


# Tasks

TASKS = select(tasks)
ONE_TASK = TASKS.where(tasks.c.id == bindparam("wanted"))
CLOSED_TASK, OPEN_TASK = held(ONE_TASK, key_share=False), held(ONE_TASK, **OPEN)
CHILDREN = TASKS.where(tasks.c.parent_id == bindparam("wanted")).order_by(tasks.c.position)
PUT_TASK = update(tasks).where(tasks.c.id == bindparam("of_task"))

IN_WORK = (tasks.c.seen == rules.PROCESSING) & tasks.c.state.in_(
    (TaskState.PLANNING.value, TaskState.PROCESSING.value)
)
"""Tasks whose chunks are handed out."""

_RUNNING = (rules.PENDING, rules.PROCESSING)
"""How tasks are seen that have neither ended nor are on hold."""

BY_KEY = TASKS.where(tasks.c.idempotency_key == bindparam("key")).order_by(tasks.c.position.desc()).limit(1)
RUNNING_ALIKE = (
    TASKS.where(tasks.c.fingerprint == bindparam("fingerprint"), tasks.c.seen.in_(rules.UNENDED))
    .order_by(tasks.c.position.desc())
    .limit(1)
)


@lru_cache
def newest(below: bool, seen: bool, tenant: bool) -> Select[Any]:
    """At most so `many`; only `below` a position, `seen` so, or of that `tenant`, where it is said."""
    query = TASKS.order_by(tasks.c.position.desc()).limit(bindparam("many"))
    if below:
        query = query.where(tasks.c.position < bindparam("below"))
    if seen:
        query = query.where(tasks.c.seen == bindparam("seen"))
    if tenant:
        query = query.where(tasks.c.tenant == bindparam("tenant"))
    return query


@lru_cache
def idle(states: Sequence[TaskState]) -> Both:
    """Of `now`, and at most so `many`."""
    query = TASKS.where(
        tasks.c.seen.in_(_RUNNING),
        tasks.c.state.in_([state.value for state in states]),
        tasks.c.worker.is_(None),
        tasks.c.not_before <= bindparam("now"),
    )
    return held(query.order_by(tasks.c.position).limit(bindparam("many")), **OPEN, **FREE)


# Chunks

CHUNKS = select(chunks).order_by(chunks.c.task_id, chunks.c.number)
_OF_TASK = chunks.c.task_id == bindparam("of_task")
_AT = _OF_TASK & (chunks.c.number == bindparam("at"))
ONE_CHUNK, PUT_CHUNKS = select(chunks).where(_AT), update(chunks).where(_AT)
ANY_CHUNKS = CHUNKS.where(_OF_TASK, chunks.c.number > bindparam("after")).limit(bindparam("many"))
CHUNKS_SEEN = ANY_CHUNKS.where(chunks.c.state == bindparam("state"))
REJECTING = ANY_CHUNKS.where(chunks.c.rejected > 0)
_DUE = is_(ChunkState.READY), chunks.c.not_before <= bindparam("now")
READY_CHUNKS = held(CHUNKS.where(_OF_TASK, *_DUE).limit(bindparam("many")), **FREE)


def _shelves() -> Select[Any]:
    """Tasks with chunks that are due `now`; of each how many are claimed, how many of them by `worker`, and
    how many are ready, counted no further than `many`."""
    of_task = chunks.c.task_id == tasks.c.id
    claimed = select(func.count()).where(of_task, is_(ChunkState.CLAIMED))
    mine = claimed.where(chunks.c.worker == bindparam("worker")).scalar_subquery()
    due = select(chunks.c.number).where(of_task, *_DUE).correlate(tasks).limit(bindparam("many"))
    ready = select(func.count()).select_from(due.subquery()).scalar_subquery()
    return (
        select(
            tasks,
            claimed.scalar_subquery().label("claimed"),
            mine.label("mine"),
            ready.label("ready"),
        )
        .where(IN_WORK, exists().where(of_task, *_DUE))
        .order_by("claimed", tasks.c.position)
        .limit(bindparam("at_most"))
    )


SHELVES = _shelves()

# Workers

WORKERS = select(workers).order_by(workers.c.id)
ONE_WORKER = held(select(workers).where(workers.c.id == bindparam("wanted")), **OPEN)
