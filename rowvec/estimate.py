"""What a task would come to: rows, tokens, dollars and time, from a scan and a sample; nothing is spent."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

from rowvec.analysis import chunk_memory
from rowvec.embedders.base import Embedder
from rowvec.errors import InputRefused, RetryLater
from rowvec.intake import TaskRequest, prepare_spec
from rowvec.machine import Machine
from rowvec.pipeline import read_and_describe_from
from rowvec.sources.base import Source
from rowvec.spec import TaskSpec
from rowvec.survey import SCAN_BYTES, Run, Survey, sample, survey
from rowvec.table import opened_table

TIMED_TEXTS = 512


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request would come to. Nothing of it is recorded.

    `bytes` is the source's size, `text_bytes` that of its table in plain UTF-8, another one only where
    `compression` or `encoding` say so. `rows`, `blank_lines` and `chunks` are what the planner would count;
    unless `exact` the source was too large to be scanned whole, `text_bytes`, `rows` and `chunks` are in
    proportion to its bytes, and `blank_lines` is None. `memory_bytes` is what one chunk takes in a worker.

    All else is extrapolated from `sampled_rows`, and exact where these are all rows: `rows_to_embed`,
    their `passages` (vectors) and `tokens`, with `tokens_low` to `tokens_high` two standard errors of the
    sample to either side; `rejected_share` and `filtered_share` of the rows, 0 to 1. Ids that are doubled
    far apart are not seen. Unless `tokens_counted` there is no tokenizer's table: `tokens` is then more
    than prose has, `tokens_low` one a passage, and `tokens_high` one a byte, which no text can exceed.

    `price` is in dollars per million tokens; `dollars` and `dollars_high` (of `tokens_high`) are rounded up
    to cents, `dollars_raw` is not.
    `seconds` follow from the budget of requests and tokens; without one, and where embedding is free,
    from the speed at which the sample was read, described and embedded; else they are None.
    """

    model: str
    bytes: int
    text_bytes: int
    encoding: str
    compression: str
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


async def estimate(machine: Machine, request: TaskRequest) -> Estimate:
    """Check the request as `submit` does, scan its source, and look at rows from all over it.

    Writes nothing that outlasts it, and calls the embedder only where embedding is free and without a
    budget. A table that must be exported is, once. Raises what submit raises, what Source.read and
    ExportedSource.export raise, SourceDamaged where the source cannot be unpacked or decoded, and DiskLow
    where there is no room for its text.
    """
    return await estimate_of(machine, await checked(machine, request))


async def checked(machine: Machine, request: TaskRequest) -> TaskSpec:
    """What is to be estimated. Raises what submit raises."""
    return await prepare_spec(machine, request)


def needs_export(spec: TaskSpec) -> bool:
    """Must its table be exported to be looked at? That takes as long as its query."""
    return spec.wish is not None


async def estimate_of(machine: Machine, spec: TaskSpec) -> Estimate:
    """The estimate of what was checked; all that takes long is here. Raises what `estimate` raises."""
    async with opened_table(machine, spec, SCAN_BYTES) as table:
        found = await _look(machine, table.source, table.spec, table.size)
    return found if needs_export(spec) else replace(found, bytes=spec.source.size)


async def _look(machine: Machine, source: Source, spec: TaskSpec, size: int) -> Estimate:
    """The estimate of a table of `size` bytes; the source may have less of it, and then its beginning."""
    found = await survey(source, spec, size)
    seen = _Sample(found.rows, size - spec.data_start)
    async for run in sample(source, spec, found.stretches):
        await seen.add(machine, source, spec, run)
    return await _conclude(machine, spec, size, found, seen)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What became of one run of rows."""

    weight: float
    rows: int
    bytes: int
    embedded: int
    passages: int
    tokens: int
    most_tokens: int
    rejected: int
    filtered: int


_Number = Callable[[_Seen], int]


@dataclass(slots=True)
class _Sample:
    """Runs that stand for a source of `rows` rows and `bytes` bytes of data."""

    rows: int
    bytes: int
    runs: list[_Seen] = field(default_factory=list)
    timed: list[str] = field(default_factory=list)
    timed_tokens: int = 0
    seconds: float = 0.0

    async def add(self, machine: Machine, source: Source, spec: TaskSpec, run: Run) -> None:
        """Describe the run as a worker would."""
        started = perf_counter()
        rows, described = await read_and_describe_from(source, machine, spec, run.plan)
        self.seconds += perf_counter() - started
        texts = [text for entry in described.entries for text in entry.passages]
        tokens, most = await asyncio.to_thread(_tokens, machine.embedder, texts)
        rejected = sum(note.outcome == "rejected" for note in described.notes)
        self.runs.append(
            _Seen(
                run.weight, rows.read, run.plan.end - run.plan.start,
                len(described.entries), len(texts), sum(tokens), sum(most), rejected, described.filtered,
            )
        )  # fmt: skip
        self._set_aside(texts, tokens, machine.embedder)

    def _set_aside(self, texts: Sequence[str], tokens: Sequence[int], embedder: Embedder) -> None:
        """Keep what fits one request, to time it."""
        most = min(embedder.max_inputs, TIMED_TEXTS)
        for text, count in zip(texts, tokens, strict=True):
            if len(self.timed) < most and self.timed_tokens + count <= embedder.max_request_tokens:
                self.timed.append(text)
                self.timed_tokens += count

    @property
    def looked_at(self) -> int:
        return sum(run.rows for run in self.runs)

    def total(self, number: _Number) -> tuple[float, float]:
        """The sum of a number over the whole source, and its standard error.

        In proportion to rows or to bytes, whichever fits the sample better.
        """
        if not self.runs:
            return 0.0, 0.0
        by_rows = self._in_proportion(number, lambda run: run.rows, self.rows)
        by_bytes = self._in_proportion(number, lambda run: run.bytes, self.bytes)
        return min(by_rows, by_bytes, key=lambda found: found[1])

    def share(self, number: _Number) -> float:
        """The share of the rows for which a number stands."""
        return min(1.0, round(self.total(number)[0] / max(self.rows, 1), 6))

    def _in_proportion(self, number: _Number, size: _Number, whole: int) -> tuple[float, float]:
        """The ratio estimate of a sum, and its linearised standard error (runs are the clusters)."""
        weighed = sum(run.weight * size(run) for run in self.runs)
        ratio = sum(run.weight * number(run) for run in self.runs) / weighed
        squares = sum((run.weight * (number(run) - ratio * size(run))) ** 2 for run in self.runs)
        count = len(self.runs)
        unseen = max(0.0, 1 - self.looked_at / self.rows)
        error = math.sqrt(unseen * squares * count / max(count - 1, 1)) * whole / weighed
        return ratio * whole, error


def _tokens(embedder: Embedder, texts: Sequence[str]) -> tuple[list[int], list[int]]:
    """What each text will be billed, probably and at most: the same where it can be counted."""
    most = embedder.count_tokens(texts)
    return (most if embedder.counts_exactly else embedder.likely_tokens(texts)), most


async def _conclude(machine: Machine, spec: TaskSpec, size: int, found: Survey, seen: _Sample) -> Estimate:
    tokens, error = seen.total(lambda run: run.tokens)
    most, most_error = seen.total(lambda run: run.most_tokens)
    rows_to_embed = round(seen.total(lambda run: run.embedded)[0])
    passages = round(seen.total(lambda run: run.passages)[0])
    price, counted = machine.embedder.price, machine.embedder.counts_exactly
    tokens_high = round(most + 2 * most_error)
    return Estimate(
        model=spec.model,
        bytes=size,
        text_bytes=size,
        encoding=spec.dialect.encoding,
        compression=spec.dialect.compression,
        rows=found.rows,
        blank_lines=found.blank_lines,
        chunks=found.chunks,
        exact=found.exact,
        chunk_size=spec.chunk_size,
        memory_bytes=chunk_memory(size, found.rows, spec.chunk_size, spec.dimension),
        sampled_rows=seen.looked_at,
        rows_to_embed=min(rows_to_embed, found.rows),
        passages=passages,
        tokens=round(tokens),
        tokens_low=max(0, round(tokens - 2 * error)) if counted else passages,
        tokens_high=tokens_high,
        tokens_counted=counted,
        rejected_share=seen.share(lambda run: run.rejected),
        filtered_share=seen.share(lambda run: run.filtered),
        price=price,
        dollars=_in_cents(tokens * price),
        dollars_high=_in_cents(tokens_high * price),
        dollars_raw=tokens * price / 1e6,
        seconds=await _seconds(machine, found, seen, passages, round(tokens)),
    )


def _in_cents(millionths: float) -> float:
    """Dollars, rounded up to cents."""
    return math.ceil(round(millionths / 1e4, 6)) / 100


async def _seconds(
    machine: Machine, found: Survey, seen: _Sample, passages: int, tokens: int
) -> float | None:
    if not found.rows:
        return 0.0
    embedder = machine.embedder
    requests = max(
        min(found.chunks, passages), passages / embedder.max_inputs, tokens / embedder.max_request_tokens
    )
    budgeted = machine.governor.least_seconds(requests, tokens)
    if budgeted is not None or embedder.price:
        return budgeted
    a_token = await _seconds_a_token(embedder, seen.timed)
    a_row = seen.seconds / seen.looked_at
    return None if a_token is None else round(a_row * found.rows + a_token * tokens, 3)


async def _seconds_a_token(embedder: Embedder, texts: Sequence[str]) -> float | None:
    """Measured by one request that costs nothing; None where it is refused or not answered."""
    if not texts:
        return 0.0
    started = perf_counter()
    try:
        embedding = await embedder.embed(texts)
    except (InputRefused, RetryLater):
        return None
    return (perf_counter() - started) / max(embedding.tokens, 1)
