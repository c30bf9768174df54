"""A task as a caller sees it: state, progress, and the account of its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, PlainSerializer

from rowvec.analysis import Analysis, analysed
from rowvec.gates import in_words
from rowvec.ledgers.base import Around, Ledger
from rowvec.model import Hold, ProviderPause, Task, TaskState, WorkerInfo, utc


def _zulu(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_zulu, return_type=str, when_used="json")]

STAGES = (TaskState.PLANNING, TaskState.PROCESSING, TaskState.SETTLING)


def seen_state(task: Task) -> str:
    """The one word callers see; a hold comes before the stage it stopped."""
    if task.state.ended:
        return task.state.value
    if task.hold is not Hold.NONE:
        return task.hold.value
    return "processing" if task.state in STAGES else "pending"


class Progress(BaseModel):
    """`total_records` is null until the whole source has been scanned."""

    total_records: int | None
    processed_records: int
    failed_records: int
    chunks_completed: int
    chunks_total: int
    chunks_failed: int


class Conservation(BaseModel):
    """`read` is always the sum of upserted, unchanged, filtered, duplicate, rejected and unprocessed.

    Rows that are known to exist count as read. The fields after `unprocessed` are counted beside that law.
    """

    read: int
    upserted: int
    unchanged: int
    filtered: int
    duplicate: int
    rejected: int
    unprocessed: int
    warnings: int
    passages: int
    tokens: int
    embedded: int


class WithChildren(BaseModel):
    """The task and the tasks that repaired rows of it, together. `rejected` are the rows still open."""

    upserted: int
    rejected: int

    @staticmethod
    def of(task: Task, children: Sequence[Task]) -> WithChildren:
        read = sum(child.counts.read for child in children)
        still = sum(child.counts.rejected for child in children)
        return WithChildren(
            upserted=task.counts.upserted + sum(child.counts.upserted for child in children),
            rejected=max(0, task.counts.rejected - read + still),
        )


class AnalysisView(BaseModel):
    """The table: how it is spelt, and, once the whole of it has been scanned, what it holds.

    Until then all that only the scan can tell is null; `progress` and `conservation` count meanwhile.
    """

    bytes: int | None = Field(description="Size of the source; null until an export is there.")
    text_bytes: int | None = Field(
        description="Size of the table in it as plain UTF-8; `bytes`, unless it is packed or recoded."
    )
    rows: int | None = Field(description="Records after the header; blank lines are none.")
    blank_lines: int | None
    columns: list[str] = Field(description="The names in the header, in order.")
    encoding: str = Field(description="As Python names it, or as it was told by a byte order mark.")
    compression: str | None = Field(description="`gzip`, `zstd` or null.")
    delimiter: str
    chunk_size: int = Field(description="The most rows a chunk has.")
    chunks: int | None
    memory_estimate_bytes: int | None = Field(description="What one chunk takes in a worker's memory.")

    @staticmethod
    def of(found: Analysis) -> AnalysisView:
        return AnalysisView(
            bytes=found.bytes,
            text_bytes=found.text_bytes,
            rows=found.rows,
            blank_lines=found.blank_lines,
            columns=list(found.columns),
            encoding=found.encoding,
            compression=found.compression or None,
            delimiter=found.delimiter,
            chunk_size=found.chunk_size,
            chunks=found.chunks,
            memory_estimate_bytes=found.memory_bytes,
        )


class SourceView(BaseModel):
    kind: str
    ref: str


class StatusView(BaseModel):
    """`children` and `with_children` are told where one task is asked for, and null in lists and events.
    `waits_for` says which part does not answer; what has not lasted for ten seconds may be missing
    from it."""

    task_id: str
    status: str
    stage: str | None
    hold_reason: str | None
    waits_for: str | None
    outcome: str | None
    progress: Progress
    conservation: Conservation
    rows_per_second: float | None
    eta_seconds: float | None
    analysis: AnalysisView
    source: SourceView
    title: str
    namespace: str
    model: str
    created_at: Moment | None
    started_at: Moment | None
    planned_at: Moment | None
    completed_at: Moment | None
    error: str | None
    links: dict[str, str]
    parent_id: str | None = None
    children: list[str] | None = None
    with_children: WithChildren | None = None

    @staticmethod
    def of(
        task: Task,
        now: float,
        table: Analysis,
        children: Sequence[Task] | None = None,
        waits_for: str | None = None,
    ) -> StatusView:
        """The task as callers see it; `now` is the ledger's clock, in seconds since the epoch. What has ended
        needs none."""
        spec = task.spec
        rate = _rate(task, now)
        return StatusView(
            task_id=task.id,
            status=seen_state(task),
            stage=task.state.value if task.state in STAGES else None,
            hold_reason=task.reason if task.hold is not Hold.NONE else None,
            waits_for=waits_for,
            outcome=_outcome(task),
            progress=_progress(task),
            conservation=Conservation(
                **task.counts.as_dict() | {"read": task.rows_planned}, unprocessed=task.unprocessed
            ),
            rows_per_second=None if rate is None else round(rate, 1),
            eta_seconds=_eta(task, rate),
            analysis=AnalysisView.of(table),
            source=SourceView(kind=spec.source.kind, ref=spec.source.ref),
            title=spec.name,
            namespace=spec.namespace,
            model=spec.model,
            created_at=utc(task.created_at),
            started_at=utc(task.started_at),
            planned_at=utc(task.planned_at),
            completed_at=utc(task.completed_at),
            error=task.error,
            links=_links(task.id),
            parent_id=spec.parent_id,
            children=None if children is None else [child.id for child in children],
            with_children=WithChildren.of(task, children) if children else None,
        )


async def status_of(
    ledger: Ledger, task: Task, children: Sequence[Task] | None = None, around: Around | None = None
) -> StatusView:
    """The task as callers see it now. The ledger is asked for what is around it where that is not given."""
    if around is None and not task.state.ended:
        around = await ledger.around(task.id)
    waits_for = _waits_for(task, around.workers, around.pauses) if around else None
    now = around.now if around else 0.0
    return StatusView.of(task, now, await analysed(ledger, task), children, waits_for)


async def now_for(ledger: Ledger, tasks: Sequence[Task]) -> float:
    """The ledger's clock, for views of these tasks; it is not asked where all of them have ended."""
    return 0.0 if all(task.state.ended for task in tasks) else await ledger.now()


async def waits_of(ledger: Ledger, tasks: Sequence[Task]) -> dict[str, str]:
    """What is waited for, by the id of a task that does."""
    going = [task for task in tasks if not task.state.ended]
    if not going:
        return {}
    pauses, workers = await asyncio.gather(ledger.provider_pauses(), ledger.workers())
    said = {task.id: _waits_for(task, workers, pauses) for task in going}
    return {id_: words for id_, words in said.items() if words}


def _waits_for(task: Task, workers: Sequence[WorkerInfo], pauses: Sequence[ProviderPause]) -> str | None:
    """What the workers that are alive wait for with it, one sentence a part; or which are paused by hand."""
    if task.state.ended:
        return None
    if pauses:
        return " ".join(map(in_words, pauses))
    said = {worker.waits[task.id] for worker in workers if worker.alive and task.id in worker.waits}
    return " ".join(sorted(said)) or None


def _progress(task: Task) -> Progress:
    counts = task.counts
    return Progress(
        total_records=task.rows_planned if task.planned else None,
        processed_records=counts.upserted + counts.unchanged + counts.filtered + counts.duplicate,
        failed_records=counts.rejected + task.rows_failed,
        chunks_completed=task.chunks_done,
        chunks_total=task.chunks_total,
        chunks_failed=task.chunks_failed,
    )


def _rate(task: Task, now: float) -> float | None:
    """Rows a second on average since the start, pauses included."""
    if task.started_at is None or not task.counts.accounted:
        return None
    seconds = (task.completed_at or now) - task.started_at
    return task.counts.accounted / seconds if seconds > 0 else None


def _eta(task: Task, rate: float | None) -> float | None:
    running = task.planned and seen_state(task) == "processing"
    return round(task.unprocessed / rate, 1) if running and rate else None


def _outcome(task: Task) -> str | None:
    """One sentence on how a task ended; null while it has not."""
    counts = task.counts
    if task.state is TaskState.CANCELLED:
        return f"cancelled; {_rows(counts.upserted)} landed before"
    if task.state is TaskState.FAILED:
        missed = task.unprocessed or not task.planned
        return f"{_rows(task.unprocessed)} not processed" if missed else "all rows processed; settling failed"
    if task.state is not TaskState.COMPLETED:
        return None
    if not task.rows_planned:
        return "the source has no rows"
    beside = [
        f"{_rows(number)} {what}"
        for number, what in (
            (counts.rejected, "rejected"),
            (counts.filtered, "outside the dates"),
            (counts.duplicate, "replaced by a later row of the same id"),
            (counts.warnings, "landed with a warning"),
        )
        if number
    ]
    return "; ".join(beside) or "all rows landed"


def _rows(number: int) -> str:
    return f"{number} row" if number == 1 else f"{number} rows"


def _links(task_id: str) -> dict[str, str]:
    base = f"/api/v1/tasks/{task_id}"
    return {
        "self": f"/api/v1/status/{task_id}",
        "events": f"{base}/events",
        "chunks": f"{base}/chunks",
        "rejected": f"{base}/rejected",
    }
