"""Tasks, chunks, and who works on them. All frozen: what changes over time is in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from rowvec.spec import TaskSpec
from rowvec.usage import Usage

DAY = 86_400.0
"""In seconds."""


class TaskState(StrEnum):
    """Where a task stands. A hold (`Hold`) stops it without moving it."""

    PENDING = "pending"
    PLANNING = "planning"
    PROCESSING = "processing"
    SETTLING = "settling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED)


class Hold(StrEnum):
    """Why no new work of a task is handed out although it has not ended."""

    NONE = ""
    PAUSED = "paused"
    CANCELLING = "cancelling"


class ChunkState(StrEnum):
    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"


class Flag(StrEnum):
    """What a caller may ask of a task."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"


class WorkKind(StrEnum):
    PLAN = "plan"
    CHUNK = "chunk"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows. `read = upserted + unchanged + filtered + duplicate + rejected`.

    `warnings` (metadata that had to be trimmed), `passages` (vectors written) and `tokens` (as the
    embedder counts them) are counted beside the law. `embedded` counts rows sent to the embedder.
    """

    read: int = 0
    upserted: int = 0
    unchanged: int = 0
    filtered: int = 0
    duplicate: int = 0
    rejected: int = 0
    warnings: int = 0
    passages: int = 0
    tokens: int = 0
    embedded: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def accounted(self) -> int:
        """Rows whose outcome is known."""
        return self.upserted + self.unchanged + self.filtered + self.duplicate + self.rejected

    def as_dict(self) -> dict[str, int]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """A run of consecutive records: bytes `start` (incl.) to `end` (excl.), at record boundaries.

    `first_row` is the 1-based number of its first row (blank lines are not rows), `first_line` the
    1-based physical line on which `start` lies, `rows` how many rows it holds.
    """

    number: int
    start: int
    end: int
    first_row: int
    first_line: int
    rows: int


@dataclass(frozen=True, slots=True)
class ChunkFiles:
    """Names, in the file store, of what a chunk wrote. None: nothing of that kind."""

    manifest: str | None = None
    rejected: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """`last_worker` claimed it last, at `started_at`; `ended_at` is when it was done or failed. They
    are None where a worker of the time before they were kept did it."""

    task_id: str
    plan: PlannedChunk
    state: ChunkState = ChunkState.READY
    attempts: int = 0
    crashes: int = 0
    fence: int = 0
    worker: str | None = None
    not_before: float = 0.0
    error: str | None = None
    counts: Counts = Counts()
    files: ChunkFiles = ChunkFiles()
    last_worker: str | None = None
    started_at: float | None = None
    ended_at: float | None = None


class Mark(NamedTuple):
    """A chunk as a look at all of its task shows it. `tries` counts errors and crashes, `rejected` rows.

    A tuple, as ten thousand are made at once.
    """

    number: int
    state: ChunkState
    tries: int
    rejected: int
    not_before: float
    started_at: float | None
    ended_at: float | None

    @staticmethod
    def of(chunk: Chunk) -> Mark:
        return Mark(
            chunk.plan.number,
            chunk.state,
            chunk.attempts + chunk.crashes,
            chunk.counts.rejected,
            chunk.not_before,
            chunk.started_at,
            chunk.ended_at,
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """What a finished scan knows of the whole source."""

    rows: int
    bytes: int
    blank_lines: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Task:
    """The ledger's record of a task at one moment.

    `rows_planned` counts the rows of all chunks appended so far; it is the total once `planned`.
    `counts` holds the sums over done chunks, after settling less the doubles found across chunks.
    `version` grows with every change, `order` with every submission. `progressed_at` is when chunks
    were last found, done or given up, or a caller let it go on (None: not yet, or by a process of an older
    version only). Times are seconds since the epoch on the ledger's clock, which may be set back.
    """

    id: str
    spec: TaskSpec
    state: TaskState
    hold: Hold = Hold.NONE
    reason: str | None = None
    error: str | None = None
    counts: Counts = Counts()
    planned: bool = False
    rows_planned: int = 0
    blank_lines: int = 0
    chunks_total: int = 0
    chunks_done: int = 0
    chunks_failed: int = 0
    rows_failed: int = 0
    created_at: float = 0.0
    started_at: float | None = None
    planned_at: float | None = None
    completed_at: float | None = None
    attempts: int = 0
    fence: int = 0
    worker: str | None = None
    version: int = 0
    progressed_at: float | None = None
    order: int = 0

    @property
    def unprocessed(self) -> int:
        """Rows known to exist whose outcome is not known: they wait, are at work, or failed."""
        return self.rows_planned - self.counts.accounted


@dataclass(frozen=True, slots=True)
class Claim:
    """A piece of work held by a worker under a fence. `chunk` is set for WorkKind.CHUNK only."""

    kind: WorkKind
    task: Task
    fence: int
    chunk: Chunk | None = None


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker as the ledger knows it. `pid_started` tells a reused process id from the same one; `waits` are
    sentences by task: weather that its work waits for; `usage` is what it told of itself with its beat."""

    id: str
    host: str
    pid: int
    pid_started: float
    slots: int
    holding: int = 0
    beat_at: float = 0.0
    alive: bool = True
    waits: Mapping[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class ProviderPause:
    """A person has paused all calls to a provider (`rowvec/gates.py`), for this reason."""

    provider: str
    since: float
    reason: str


def utc(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as an aware datetime in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
