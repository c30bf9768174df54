"""What callers get: the fields of the original guide, and more beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from app.api.status import Moment, StatusView, now_for, waits_of
from rowvec.analysis import analysed_each
from rowvec.estimate import Estimate
from rowvec.ledgers.base import Ledger, Page
from rowvec.model import Chunk, utc
from rowvec.rejected import Group


class Accepted(BaseModel):
    """The answer to a submission."""

    task_id: str
    status: str
    message: str


class EstimateView(BaseModel):
    """What a task would come to. `rows` and `chunks` are counted where `exact`, else in proportion to bytes.

    `bytes` is the source's size, `text_bytes` that of the table in it as plain UTF-8 (in proportion unless
    `exact`); `compression` is `gzip`, `zstd` or null.
    All from `rows_to_embed` on is extrapolated from `sampled_rows`: `tokens_low` to `tokens_high` is two
    standard errors to either side, shares are of the rows, 0 to 1. Where `tokens_counted` is false the
    tokenizer's table is missing (TIKTOKEN_CACHE_DIR): `tokens` and `dollars` are then rather high estimates,
    and `tokens_high` and `dollars_high` what cannot be exceeded. `price` is in dollars per million tokens,
    dollars are rounded up to cents. `seconds` is null where neither a budget nor a speed is known.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "wordllama-l2-supercat-256",
                    "bytes": 412_093_118,
                    "text_bytes": 412_093_118,
                    "encoding": "utf-8",
                    "compression": None,
                    "rows": 1_000_000,
                    "blank_lines": 0,
                    "chunks": 1000,
                    "exact": True,
                    "chunk_size": 1000,
                    "memory_bytes": 2_672_372,
                    "sampled_rows": 3200,
                    "rows_to_embed": 998_750,
                    "passages": 998_750,
                    "tokens": 83_120_400,
                    "tokens_low": 82_300_100,
                    "tokens_high": 83_940_700,
                    "tokens_counted": True,
                    "rejected_share": 0.00125,
                    "filtered_share": 0.0,
                    "price": 0.0,
                    "dollars": 0.0,
                    "dollars_high": 0.0,
                    "dollars_raw": 0.0,
                    "seconds": 187.4,
                }
            ]
        }
    )

    model: str
    bytes: int
    text_bytes: int
    encoding: str
    compression: str | None
    rows: int
    blank_lines: int | None
    chunks: int
    exact: bool
    chunk_size: int
    memory_bytes: int
    sampled_rows: int
    rows_to_embed: int
    passages: int
    tokens: int
    tokens_low: int
    tokens_high: int
    tokens_counted: bool
    rejected_share: float
    filtered_share: float
    price: float
    dollars: float
    dollars_high: float
    dollars_raw: float
    seconds: float | None

    @staticmethod
    def of(found: Estimate) -> EstimateView:
        return EstimateView(**asdict(found) | {"compression": found.compression or None})


class TaskList(BaseModel):
    """Newest first. Pass `next_cursor` back as `cursor`; null at the end."""

    tasks: list[StatusView]
    next_cursor: str | None

    @staticmethod
    async def of(ledger: Ledger, page: Page) -> TaskList:
        now, tables, waits = await asyncio.gather(
            now_for(ledger, page.tasks), analysed_each(ledger, page.tasks), waits_of(ledger, page.tasks)
        )
        views = [
            StatusView.of(task, now, table, waits_for=waits.get(task.id))
            for task, table in zip(page.tasks, tables, strict=True)
        ]
        return TaskList(tasks=views, next_cursor=page.cursor)


class ChunkView(BaseModel):
    number: int
    state: str
    first_row: int
    rows: int
    bytes: int
    attempts: int
    crashes: int
    not_before: Moment | None
    error: str | None
    counts: dict[str, int]

    @staticmethod
    def of(chunk: Chunk) -> ChunkView:
        plan = chunk.plan
        return ChunkView(
            number=plan.number,
            state=chunk.state.value,
            first_row=plan.first_row,
            rows=plan.rows,
            bytes=plan.end - plan.start,
            attempts=chunk.attempts,
            crashes=chunk.crashes,
            not_before=utc(chunk.not_before) if chunk.not_before else None,
            error=chunk.error,
            counts=chunk.counts.as_dict(),
        )


class ChunkList(BaseModel):
    """By number. Pass `next_after` back as `after`; null at the end."""

    chunks: list[ChunkView]
    next_after: int | None

    @staticmethod
    def of(chunks: Iterable[Chunk], limit: int) -> ChunkList:
        views = [ChunkView.of(chunk) for chunk in chunks]
        return ChunkList(chunks=views, next_after=views[-1].number if len(views) == limit else None)


class GroupView(BaseModel):
    """Rows with one `code`; `reason` and `content` are those of the row `first_row`."""

    code: str
    count: int
    first_row: int
    last_row: int
    reason: str
    content: str


class GroupList(BaseModel):
    """The most frequent first."""

    groups: list[GroupView]

    @staticmethod
    def of(groups: Iterable[Group]) -> GroupList:
        return GroupList(groups=[GroupView(**asdict(group)) for group in groups])


class VerificationView(BaseModel):
    """The store against the manifests; at most 100 ids are listed of each kind."""

    task_id: str
    ok: bool
    expected: int = Field(description="Vectors of the rows that were looked at.")
    found: int
    missing_count: int
    wrong_count: int = Field(description="There, with the content of another row of the task.")
    extra_count: int = Field(description="There, written by the task, and of no row of it.")
    missing: list[str]
    wrong: list[str]
    extra: list[str]
    stored: int | None = Field(
        description="All vectors of the namespace, whoever wrote them; null where that is not known exactly."
    )


class Removed(BaseModel):
    task_id: str
    removed: int


class UploadedFile(BaseModel):
    """Pass `file_id` to `POST /api/v1/process` with data_source `upload`."""

    file_id: str
    bytes: int
    name: str


class MatchView(BaseModel):
    id: str
    score: float
    text: str
    metadata: dict[str, str | float | int | bool]


class SearchResult(BaseModel):
    matches: list[MatchView]
    model: str
    took_ms: float


class Workers(BaseModel):
    """`active` are alive, `available` have room for more work."""

    active: int
    available: int


class Health(BaseModel):
    """Each part is `connected`, `not answering`, `refusing` (a key, an account, an index that does not fit)
    or `not configured`; `message` says in words which are not well, and what that means for the work."""

    status: str
    version: str
    message: str
    workers: Workers
    redis: str
    dynamodb: str
    ledger: str
    vector_store: str
    embedder: str
    file_store: str
