"""What the ledger's tests share: a clock to set by hand, every backend, and small work to do."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rowvec.ledgers.base import Ledger
from rowvec.ledgers.dynamodb import DynamoLedger
from rowvec.ledgers.memory import MemoryLedger
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import Chunk, ChunkFiles, Claim, Counts, PlannedChunk, Task, Totals, WorkerInfo, WorkKind
from rowvec.spec import Dialect, SourcePin, TaskSpec
from tests.contracts import dynamodb_audit
from tests.quick_disk import quick_disk
from tests.servers import moto, postgres

FILES = ChunkFiles("m", "r")

BUSY_SECONDS = 100.0
"""moto answers DynamoDB one call at a time: on a busy machine writers are in each other's way for longer."""


class Clock:
    """Time stands still unless a test moves it."""

    def __init__(self, at: float = 1_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def memory(folder: Path, clock: Clock) -> Ledger:
    return MemoryLedger(clock)


def new_sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'deep' / 'ledger.db'}"


def new_postgresql(folder: Path) -> str:
    return postgres.shared().new_schema()


SQL: dict[str, Callable[[Path], str]] = {"sqlite": new_sqlite, "postgresql": new_postgresql}
"""The address of a SQL ledger that is not there yet."""


def sqlite(folder: Path, clock: Clock) -> Ledger:
    ledger = SqlLedger(new_sqlite(folder), clock=clock)
    quick_disk(ledger)
    return ledger


def postgresql(folder: Path, clock: Clock) -> Ledger:
    return SqlLedger(new_postgresql(folder), clock=clock)


def dynamodb(folder: Path, clock: Clock) -> Ledger:
    return DynamoLedger(new_table(), moto.shared().settings, clock, clock, busy_seconds=BUSY_SECONDS)


def new_table() -> str:
    """The address of a table that nobody else uses, and that is not there yet."""
    return f"dynamodb://test-{uuid.uuid4().hex[:16]}"


BACKENDS: dict[str, Callable[[Path, Clock], Ledger]] = {
    "dynamodb": dynamodb,
    "memory": memory,
    "sqlite": sqlite,
    "postgresql": postgresql,
}

OWN_CLOCKS: dict[str, Callable[[Path], Ledger]] = {
    "dynamodb": lambda _: DynamoLedger(new_table(), moto.shared().settings),
    "memory": lambda _: MemoryLedger(),
    "sqlite": lambda folder: SqlLedger(new_sqlite(folder)),
    "postgresql": lambda folder: SqlLedger(new_postgresql(folder)),
}
"""Each with the clock that it has in production."""

AUDITS: dict[str, Callable[[Any], None]] = {"dynamodb": dynamodb_audit.audit}
"""A look at what a backend keeps beside what it shows, for those that do."""

ROWS = 10
"""Rows of each chunk in these tests."""

READ = Counts(read=ROWS, upserted=6, filtered=3, rejected=1, passages=8, tokens=50, embedded=6, warnings=2)


def spec(name: str = "a.csv") -> TaskSpec:
    return TaskSpec(
        source=SourcePin("local", name, "v1", 1_000),
        header=("id", "text"),
        data_start=8,
        data_line=2,
        dialect=Dialect(),
        chunk_size=ROWS,
        max_record_bytes=1_000,
        namespace="default",
        embedder="memory",
        model="hash",
        dimension=4,
        types={"id": "string", "text": "string"},
    )


def plan(number: int) -> PlannedChunk:
    return PlannedChunk(number, number * 100, number * 100 + 100, number * ROWS + 1, number * ROWS + 2, ROWS)


def worker(name: str) -> WorkerInfo:
    return WorkerInfo(name, "host", 1, 1.0, slots=4)


def chunk_of(claim: Claim) -> Chunk:
    assert claim.chunk is not None
    return claim.chunk


def number_of(claim: Claim) -> int:
    return chunk_of(claim).plan.number


async def plan_claim(ledger: Ledger, name: str = "a.csv", by: str = "w") -> Claim:
    """A fresh task, planned by worker `by`; no other task may wait for a planner."""
    submitted = await ledger.submit(spec(name))
    (claim,) = await ledger.claim(by, 1)
    assert (claim.kind, claim.task.id) == (WorkKind.PLAN, submitted.task.id)
    return claim


async def planned_task(ledger: Ledger, chunks: int, name: str = "a.csv", by: str = "w") -> Task:
    """A fresh task with that many ready chunks."""
    claim = await plan_claim(ledger, name, by)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(n) for n in range(chunks)])
    await ledger.planned(claim.task.id, claim.fence, totals(chunks))
    return await ledger.task(claim.task.id)


def totals(chunks: int) -> Totals:
    return Totals(rows=chunks * ROWS, bytes=chunks * 100, blank_lines=3, chunks=chunks)


def settled_counts(counts: Counts, duplicates: int, passages: int) -> Counts:
    return replace(
        counts,
        upserted=counts.upserted - duplicates,
        duplicate=counts.duplicate + duplicates,
        passages=counts.passages - passages,
    )


async def commit(ledger: Ledger, claim: Claim, counts: Counts = READ) -> None:
    await ledger.commit(claim.task.id, number_of(claim), claim.fence, counts, FILES)


async def give_up(ledger: Ledger, claim: Claim) -> None:
    await ledger.give_up(claim.task.id, number_of(claim), claim.fence, "no")


async def settle_claim(ledger: Ledger, chunks: int = 1) -> Claim:
    """A task all of whose chunks are done, settled by `w`."""
    await planned_task(ledger, chunks)
    for claim in await ledger.claim("w", chunks):
        await commit(ledger, claim)
    (claim,) = await ledger.claim("w", 5)
    assert claim.kind is WorkKind.SETTLE
    return claim
