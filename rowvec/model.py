"""The values that pass between the rooms. All frozen: what changes over time is in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

Floats = NDArray[np.float32]


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
class SourcePin:
    """One version of one source. `version` changes whenever the bytes may have changed."""

    kind: str
    ref: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the bytes spell a table. The quote is always `"`, doubled inside quotes.

    `encoding` is the name of a Python codec, `compression` is `gzip`, `zstd` or empty.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    compression: str = ""

    @property
    def copied(self) -> bool:
        """Is the table read from a copy in plain UTF-8? Then all offsets are those of the copy."""
        return bool(self.compression) or self.encoding != "utf-8"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """All that a task depends on, pinned when it is submitted and never changed after.

    Only where the table must be exported first is the spec open: `wish` is the request, in JSON, and what
    only the table can tell is empty. Whoever plans closes it, once; then `wish` is None.
    `data_start` is the byte offset of the first record after the header, `data_line` its 1-based
    physical line. `types` maps each metadata column to `string`, `number` or `bool`.
    `embedder` names the backend; `model` and `dimension` what it must still be when work is done.
    """

    source: SourcePin
    header: tuple[str, ...]
    data_start: int
    data_line: int
    dialect: Dialect
    chunk_size: int
    max_record_bytes: int
    namespace: str
    embedder: str
    model: str
    dimension: int
    id_column: str | None = None
    id_prefix: str = ""
    text_columns: tuple[str, ...] = ()
    text_template: str | None = None
    metadata_columns: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    date_column: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    date_format: str | None = None
    parent_id: str | None = None
    wish: str | None = None

    def to_json(self) -> str:
        return _SPEC.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> TaskSpec:
        return _SPEC.validate_json(text)


_SPEC: TypeAdapter[TaskSpec] = TypeAdapter(TaskSpec)


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
    `version` grows with every change. Times are seconds since the epoch on the ledger's clock.
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
    sentences by task: weather that its work waits for."""

    id: str
    host: str
    pid: int
    pid_started: float
    slots: int
    holding: int = 0
    beat_at: float = 0.0
    alive: bool = True
    waits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that is not in the index, and why.

    `outcome` is `rejected` or `duplicate` (a later row of the file has the same id) or `warning`
    (the row landed, with something trimmed). `content` is the record as it stands in the file, cut
    at 64 KiB; `start` and `end` are its byte range in the pinned source (or its UTF-8 copy), `line` its
    1-based physical line. Doubles that are found across chunks carry the row number only.
    """

    outcome: str
    row: int
    line: int | None
    start: int | None
    end: int | None
    code: str
    reason: str
    content: str


@dataclass(frozen=True, slots=True)
class Rates:
    """What a provider takes at most; None where that is not known, or where there is no limit."""

    requests_per_second: float | None = None
    tokens_per_minute: float | None = None

    def or_else(self, other: Rates) -> Rates:
        """These rates, and the other's where these are None."""
        return Rates(
            other.requests_per_second if self.requests_per_second is None else self.requests_per_second,
            other.tokens_per_minute if self.tokens_per_minute is None else self.tokens_per_minute,
        )


@dataclass(frozen=True, slots=True)
class Embedding:
    """One request's answer: float32 `vectors` of shape (texts, dimension), and the `tokens` it cost.

    `rates` are what the provider told with it that the caller is to keep to.
    """

    vectors: Floats
    tokens: int
    rates: Rates | None = None


@dataclass(frozen=True, slots=True)
class VectorBatch:
    """Vectors to write, column by column; all columns have the same length n.

    `vectors` is float32 of shape (n, dimension). `ids` are the vectors' ids, `row_ids` the ids of
    the rows they come from (equal unless a row was split into passages), unique within the batch.
    """

    task_id: str
    ids: Sequence[str]
    row_ids: Sequence[str]
    row_numbers: Sequence[int]
    vectors: Floats
    texts: Sequence[str]
    metadata: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who wrote a stored vector: task and 1-based row number."""

    id: str
    row_id: str
    task_id: str
    row_number: int


@dataclass(frozen=True, slots=True)
class Match:
    """A search result. `score` is the cosine similarity, -1 to 1, higher is nearer."""

    id: str
    score: float
    text: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as stored: never the secret, only the SHA-256 of the whole key in hex."""

    id: str
    sha256: str
    name: str
    created_at: float = 0.0
    revoked_at: float | None = None


def utc(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as an aware datetime in UTC."""
    from datetime import UTC

    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
