"""The way of values into the rows of a SQL ledger, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from sqlalchemy import RowMapping

from rowvec.api_key import ApiKey, Grants
from rowvec.ledgers.books.rules import Entry, seen_as
from rowvec.ledgers.sql.tables import COUNTS, chunks, workers
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

_PLAIN = (
    *("reason", "error", "planned", "rows_planned", "blank_lines", "chunks_total", "chunks_done"),
    *("chunks_failed", "rows_failed", "created_at", "started_at", "planned_at", "completed_at"),
    *("attempts", "fence", "worker", "version", "progressed_at"),
)
"""The fields of a task that are stored as they are."""


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
    return Counts(**{name: row[name] for name in COUNTS})


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
