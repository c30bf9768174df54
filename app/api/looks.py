"""Many chunks at a glance, errors by cause, and how much of the limits is in use."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import asdict
from zlib import crc32

from pydantic import BaseModel, Field

from app.api.status import Moment
from app.callers import Caller
from rowvec.error_groups import ErrorGroup, ErrorGroups
from rowvec.gates import in_words
from rowvec.gauges import Gauge, Gauges
from rowvec.model import ChunkState, Mark, WorkerInfo, utc

CODES = {ChunkState.READY: "r", ChunkState.CLAIMED: "c", ChunkState.DONE: "d", ChunkState.FAILED: "f"}
WAITS, PARTLY = "w", "p"
"""Ready, but not before some time; done, but for rejected rows."""


class Grid(BaseModel):
    """A place in each list, and a letter in each text, for each chunk from number `first` on."""

    total: int = Field(description="How many chunks the task has, as far as they are planned.")
    first: int
    states: str = Field(
        description="`r` ready, `w` waits to be tried again, `c` at work, `d` done, `p` done with rows "
        "rejected, `f` failed."
    )
    tries: str = Field(description="Errors and crashes, `0` to `9`; `9` stands for more, too.")
    seconds: list[float | None] = Field(description="From its last claim to its end; null without one.")
    p75: float | None = Field(description="The 75th percentile of `seconds`.")
    version: str = Field(description="Equal for equal grids.")

    @staticmethod
    def of(marks: Sequence[Mark], now: float, total: int) -> Grid:
        """By columns and without a call a chunk: ten thousand of them are looked at every second."""
        _, kinds, counts, rejected, waits, begins, ends = zip(*marks, strict=True) if marks else [()] * 7
        states = "".join([
            WAITS if until > now and kind is ChunkState.READY
            else PARTLY if out and kind is ChunkState.DONE
            else CODES[kind]
            for kind, out, until in zip(kinds, rejected, waits, strict=True)
        ])  # fmt: skip
        tries = "".join(["9" if count > 9 else str(count) for count in counts])
        seconds = [
            None if begun is None or ended is None else round(max(0.0, ended - begun), 2)
            for begun, ended in zip(begins, ends, strict=True)
        ]
        return Grid(
            total=total,
            first=marks[0].number if marks else 0,
            states=states,
            tries=tries,
            seconds=seconds,
            p75=percentile(seconds, 0.75),
            version=_version(total, states, tries, seconds),
        )


def percentile(seconds: Sequence[float | None], share: float) -> float | None:
    """The smallest of them that is not below that share of them."""
    known = sorted(value for value in seconds if value is not None)
    return known[math.ceil(len(known) * share) - 1] if known else None


def _version(total: int, states: str, tries: str, seconds: Sequence[float | None]) -> str:
    known = array("d", (-1.0 if value is None else value for value in seconds))
    return f"{crc32(known.tobytes(), crc32(f'{total} {states} {tries}'.encode())):08x}"


class ErrorGroupView(BaseModel):
    """`rows` are rejected rows, or those of the failed `chunks`. Where the reason differs from one to the
    other, `pattern` has “…”, ID and N; `reason`, `row`, `line` and `content` (cut) are those of the first."""

    id: str = Field(description="For `group` of `/rejected` and of `/retry`.")
    kind: str = Field(description="`rows` or `chunks`.")
    code: str
    pattern: str
    rows: int
    chunks: int
    first_seen: Moment | None
    last_seen: Moment | None
    reason: str
    row: int
    line: int | None
    content: str

    @staticmethod
    def of(group: ErrorGroup) -> ErrorGroupView:
        seen = {"first_seen": utc(group.first_seen), "last_seen": utc(group.last_seen)}
        kind = "chunks" if group.is_of_chunks else "rows"
        return ErrorGroupView(**asdict(group) | seen | {"kind": kind})


class ErrorList(BaseModel):
    """Failed chunks first, then by rows. `is_cut`: not all rejected rows were looked at, or not all groups
    are told (`left_out` are not)."""

    groups: list[ErrorGroupView]
    rows_rejected: int
    rows_looked_at: int
    left_out: int
    is_cut: bool

    @staticmethod
    def of(found: ErrorGroups) -> ErrorList:
        return ErrorList(
            groups=[ErrorGroupView.of(group) for group in found.groups],
            rows_rejected=found.rows_rejected,
            rows_looked_at=found.rows_looked_at,
            left_out=found.left_out,
            is_cut=found.is_cut,
        )


class ProviderView(BaseModel):
    """Rates are of the last minute, `most_` what is allowed; null: no limit, or nothing known.

    Until `quiet_until` nobody calls, after a 429. `paused` says in words that a person has paused it.
    """

    provider: str
    backend: str
    paused: str | None
    paused_since: Moment | None
    requests_per_second: float | None
    most_requests_per_second: float | None
    tokens_per_minute: float | None
    most_tokens_per_minute: float | None
    queued_requests: int | None
    quiet_until: Moment | None

    @staticmethod
    def of(gauge: Gauge) -> ProviderView:
        return ProviderView(
            provider=gauge.provider,
            backend=gauge.backend,
            paused=in_words(gauge.pause) if gauge.pause else None,
            paused_since=utc(gauge.pause.since) if gauge.pause else None,
            requests_per_second=gauge.requests_per_second,
            most_requests_per_second=gauge.most_requests_per_second,
            tokens_per_minute=gauge.tokens_per_minute,
            most_tokens_per_minute=gauge.most_tokens_per_minute,
            queued_requests=gauge.queued,
            quiet_until=utc(gauge.quiet_until),
        )


class WorkerView(BaseModel):
    """`pieces` counts its pieces of work by task, as it told with its last beat."""

    id: str
    host: str
    pid: int
    slots: int
    holding: int
    beat_at: Moment
    silent_seconds: float
    pieces: dict[str, int]
    waits: list[str]

    @staticmethod
    def of(worker: WorkerInfo, now: float) -> WorkerView:
        return WorkerView(
            id=worker.id,
            host=worker.host.partition("[")[0],
            pid=worker.pid,
            slots=worker.slots,
            holding=worker.holding,
            beat_at=utc(worker.beat_at),
            silent_seconds=round(max(0.0, now - worker.beat_at), 1),
            pieces=dict(worker.usage.pieces),
            waits=sorted(set(worker.waits.values())),
        )


class LimitsView(BaseModel):
    """`workers` is null for keys that do not see the whole service."""

    providers: list[ProviderView]
    workers_alive: int
    workers: list[WorkerView] | None

    @staticmethod
    def of(found: Gauges, whole: bool) -> LimitsView:
        return LimitsView(
            providers=[ProviderView.of(gauge) for gauge in found.providers],
            workers_alive=len(found.workers),
            workers=[WorkerView.of(worker, found.now) for worker in found.workers] if whole else None,
        )


def sees_all(caller: Caller) -> bool:
    """Is nothing of this service hidden from the caller?"""
    return not caller.grants.tenant and not caller.grants.namespaces
