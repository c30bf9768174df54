"""The tables of a SQL ledger, and the way of values into their rows and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    text,
)

from rowvec.api_key import ApiKey, Grants
from rowvec.ledgers.books.rules import Entry, seen_as
from rowvec.model import (
    Chunk,
    ChunkFiles,
    ChunkState,
    Counts,
    Hold,
    Mark,
    PlannedChunk,
    ProviderPause,
    Task,
    TaskState,
    WorkerInfo,
)
from rowvec.spec import TaskSpec
from rowvec.usage import Usage

metadata = MetaData()

_COUNTS = tuple(field.name for field in fields(Counts))
_PLAIN = (
    *("reason", "error", "planned", "rows_planned", "blank_lines", "chunks_total", "chunks_done"),
    *("chunks_failed", "rows_failed", "created_at", "started_at", "planned_at", "completed_at"),
    *("attempts", "fence", "worker", "version", "progressed_at"),
)
"""The fields of a task that are stored as they are."""


_BIG = BigInteger().with_variant(Integer, "sqlite")
"""Bytes and tokens outgrow 32 bits; SQLite has one kind of integer, and numbers rows only by that name."""


def _number(name: str) -> Column[int]:
    return Column(name, _BIG, nullable=False, default=0)


def _time(name: str, nullable: bool = True) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _held_index(name: str) -> Index:
    """Only of what a worker holds, so that nothing searches for what nobody holds through it."""
    held = text("worker IS NOT NULL")
    return Index(name, "worker", sqlite_where=held, postgresql_where=held)


tasks = Table(
    "tasks",
    metadata,
    Column("position", _BIG, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("idempotency_key", Text, unique=True),
    Column("fingerprint", String(64), nullable=False),
    Column("spec", Text, nullable=False),
    Column("parent_id", String(36)),
    Column("tenant", String(64), nullable=False, default="", server_default=""),
    Column("state", String(16), nullable=False),
    Column("hold", String(16), nullable=False),
    Column("seen", String(16), nullable=False),
    Column("reason", Text),
    Column("error", Text),
    *(_number(name) for name in _COUNTS),
    Column("planned", Boolean, nullable=False),
    *(_number(name) for name in ("rows_planned", "blank_lines")),
    *(_number(name) for name in ("chunks_total", "chunks_done", "chunks_failed", "rows_failed")),
    _time("created_at", nullable=False),
    *(_time(name) for name in ("started_at", "planned_at", "completed_at", "progressed_at")),
    *(_number(name) for name in ("attempts", "crashes", "fence")),
    Column("worker", Text),
    _time("not_before", nullable=False),
    _number("version"),
    Index("tasks_by_seen", "seen", "position"),
    Index("tasks_by_fingerprint", "fingerprint"),
    Index("tasks_by_parent", "parent_id"),
    Index("tasks_by_tenant", "tenant", "position"),
    _held_index("tasks_by_worker"),
    sqlite_autoincrement=True,
)

chunks = Table(
    "chunks",
    metadata,
    Column("task_id", String(36), ForeignKey("tasks.id"), primary_key=True),
    Column("number", _BIG, primary_key=True, autoincrement=False),
    *(_number(name) for name in ("start", "end", "first_row", "first_line", "rows")),
    Column("state", String(16), nullable=False),
    *(_number(name) for name in ("attempts", "crashes", "fence")),
    Column("worker", Text),
    _time("not_before", nullable=False),
    Column("error", Text),
    *(_number(name) for name in _COUNTS),
    Column("manifest", Text),
    Column("rejected_file", Text),
    Column("last_worker", Text),
    *(_time(name) for name in ("started_at", "ended_at")),
    Index("chunks_by_state", "task_id", "state", "number"),
    _held_index("chunks_by_worker"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    _time("pid_started", nullable=False),
    _number("slots"),
    _number("holding"),
    _time("beat_at", nullable=False),
    Column("waits", JSON, nullable=False, server_default="{}"),
    Column("usage", JSON, nullable=False, server_default="{}"),
)

namespaces = Table(
    "namespaces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("name", Text, nullable=False),
    _time("created_at", nullable=False),
    _time("revoked_at"),
    _time("expires_at"),
    Column("grants", Text, nullable=False, server_default="{}"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("period", _BIG, nullable=False),
    Column("used", _BIG, nullable=False),
)

tallies = Table(
    "tallies",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tally", JSON, nullable=False),
)

provider_pauses = Table(
    "provider_pauses",
    metadata,
    Column("provider", String(64), primary_key=True),
    _time("since", nullable=False),
    Column("reason", Text, nullable=False),
)

shape = Table("ledger_shape", metadata, Column("version_num", String(32), primary_key=True))
"""Which of `migrations/versions` the tables have; alembic's own table, under a name of ours."""


@lru_cache(maxsize=256)
def _spec_of(text: str) -> TaskSpec:
    return TaskSpec.from_json(text)


def entry_row(entry: Entry) -> dict[str, Any]:
    """All that may change of a task."""
    task = entry.task
    return {
        "state": task.state.value,
        "hold": task.hold.value,
        "seen": seen_as(task),
        "crashes": entry.crashes,
        "not_before": entry.not_before,
        **{name: getattr(task, name) for name in _PLAIN},
        **task.counts.as_dict(),
    }


def entry_of(row: RowMapping) -> Entry:
    task = Task(
        id=row["id"],
        spec=_spec_of(row["spec"]),
        state=TaskState(row["state"]),
        hold=Hold(row["hold"]),
        counts=_counts_of(row),
        order=row["position"],
        **{name: row[name] for name in _PLAIN},
    )
    return Entry(
        task=task,
        fingerprint=row["fingerprint"],
        key=row["idempotency_key"],
        crashes=row["crashes"],
        not_before=row["not_before"],
    )


def chunk_row(chunk: Chunk) -> dict[str, Any]:
    """All that may change of a chunk."""
    return {
        "state": chunk.state.value,
        "attempts": chunk.attempts,
        "crashes": chunk.crashes,
        "fence": chunk.fence,
        "worker": chunk.worker,
        "not_before": chunk.not_before,
        "error": chunk.error,
        "manifest": chunk.files.manifest,
        "rejected_file": chunk.files.rejected,
        "last_worker": chunk.last_worker,
        "started_at": chunk.started_at,
        "ended_at": chunk.ended_at,
        **chunk.counts.as_dict(),
    }


def plan_row(task_id: str, plan: PlannedChunk) -> dict[str, Any]:
    """What never changes of a chunk."""
    return {"task_id": task_id, **{f.name: getattr(plan, f.name) for f in fields(PlannedChunk)}}


def chunk_of(row: RowMapping) -> Chunk:
    return Chunk(
        task_id=row["task_id"],
        plan=PlannedChunk(**{f.name: row[f.name] for f in fields(PlannedChunk)}),
        state=ChunkState(row["state"]),
        attempts=row["attempts"],
        crashes=row["crashes"],
        fence=row["fence"],
        worker=row["worker"],
        not_before=row["not_before"],
        error=row["error"],
        counts=_counts_of(row),
        files=ChunkFiles(row["manifest"], row["rejected_file"]),
        last_worker=row["last_worker"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


MARK = (
    *(chunks.c.number, chunks.c.state, (chunks.c.attempts + chunks.c.crashes).label("tries")),
    *(chunks.c.rejected, chunks.c.not_before, chunks.c.started_at, chunks.c.ended_at),
)
"""All that a mark needs of a chunk, in its order."""

_STATES = {state.value: state for state in ChunkState}


def marks_of(columns: Sequence[Sequence[Any]]) -> list[Mark]:
    """From the columns of MARK."""
    numbers, states, *others = columns
    rows = zip(numbers, map(_STATES.__getitem__, states), *others, strict=True)
    return list(map(Mark._make, rows))


def _counts_of(row: RowMapping) -> Counts:
    return Counts(**{name: row[name] for name in _COUNTS})


def worker_row(worker: WorkerInfo) -> dict[str, Any]:
    """Only the living have a row."""
    row = {column.name: getattr(worker, column.name) for column in workers.columns}
    return row | {"usage": worker.usage.as_dict()}


def worker_of(row: RowMapping) -> WorkerInfo:
    return WorkerInfo(**dict(row) | {"usage": Usage.of(row["usage"])})


def pause_of(row: RowMapping) -> ProviderPause:
    return ProviderPause(**row)


def key_row(key: ApiKey) -> dict[str, Any]:
    return {f.name: getattr(key, f.name) for f in fields(ApiKey)} | {"grants": key.grants.to_json()}


def key_of(row: RowMapping) -> ApiKey:
    return ApiKey(**dict(row) | {"grants": Grants.from_json(row["grants"])})
