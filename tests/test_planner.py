"""Planning: chunks hold every record once, in order, with the right numbers, however the source is read."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowvec import planner
from rowvec.errors import SourceChanged
from rowvec.model import PlannedChunk, Totals
from rowvec.records import frame, line_ends
from rowvec.sources.base import Source
from rowvec.spec import Dialect, SourcePin, TaskSpec
from tests.test_records import nasty

pytestmark = pytest.mark.anyio


class Bytes(Source):
    """A source in memory that remembers what was read of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.read_ranges: list[tuple[int, int]] = []

    @classmethod
    def open(cls, settings: object, files: object) -> "Bytes":
        raise NotImplementedError

    async def pin(self, ref: str) -> SourcePin:
        return SourcePin("bytes", ref, "1", len(self.data))

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        self.read_ranges.append((start, end))
        return self.data[start : min(end, pin.size)]


def spec_of(data: bytes, **changes: Any) -> TaskSpec:
    spec = TaskSpec(
        source=SourcePin("bytes", "it", "1", len(data)), header=("a", "b"), data_start=0, data_line=1,
        dialect=Dialect(), chunk_size=3, max_record_bytes=1 << 20, namespace="n",
        embedder="e", model="m", dimension=1,
    )  # fmt: skip
    return replace(spec, **changes)


async def planned(
    data: bytes, resume: PlannedChunk | None = None, **changes: object
) -> tuple[list[PlannedChunk], Totals]:
    items = [item async for item in planner.plan(Bytes(data), spec_of(data, **changes), resume)]
    assert isinstance(items[-1], Totals)
    return [item for item in items if isinstance(item, PlannedChunk)], items[-1]


@settings(max_examples=200, deadline=None)
@given(
    nasty,
    st.integers(1, 5),
    st.sampled_from([4, 1 << 20]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 30),
)
async def test_chunks_hold_every_record_once(
    data: bytes, chunk_size: int, limit: int, read_bytes: int, frame_bytes: int, chunk_bytes: int
) -> None:
    """Whatever is read at a time, the chunks' records, rows and lines are those of the whole."""
    whole = frame(data, True, b",", limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bytes, "block_bytes", read_bytes)
        patch.setattr(planner, "FRAME_BYTES", frame_bytes)
        patch.setattr(planner, "MAX_CHUNK_BYTES", chunk_bytes)
        chunks, totals = await planned(data, chunk_size=chunk_size, max_record_bytes=limit)
    row = 1
    for number, chunk in enumerate(chunks):
        alone = frame(data[chunk.start : chunk.end], True, b",", limit, chunk.start, chunk.first_line)
        assert (chunk.number, chunk.first_row, chunk.rows) == (number, row, len(alone))
        assert 1 <= chunk.rows <= chunk_size
        assert chunk.rows == 1 or chunk.end - chunk.start <= chunk_bytes
        last = row - 1 + chunk.rows
        for ours, theirs in (
            (alone.starts, whole.starts),
            (alone.ends, whole.ends),
            (alone.lines, whole.lines),
        ):
            assert ours.tolist() == theirs[row - 1 : last].tolist()
        row += chunk.rows
    assert totals == Totals(len(whole), len(data), whole.blank_lines, len(chunks))


@settings(max_examples=60, deadline=None)
@given(nasty, st.integers(1, 3), st.integers(1, 30), st.data())
async def test_a_plan_taken_up_again_goes_on_the_same(
    data: bytes, chunk_size: int, chunk_bytes: int, choice: st.DataObject
) -> None:
    """After a crash, the chunks that follow the last known one, and the totals, are those of one go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planner, "MAX_CHUNK_BYTES", chunk_bytes)
        chunks, totals = await planned(data, chunk_size=chunk_size)
        for known in chunks:
            assert await planned(data, known, chunk_size=chunk_size) == (chunks[known.number + 1 :], totals)


async def test_a_known_chunk_that_does_not_fit_fails() -> None:
    """When the source no longer gives the rows of the known chunks, the plan says so."""
    data = b"1,2\n" * 10
    with pytest.raises(SourceChanged, match=r"4 rows end by byte 16.*row 3"):
        await planned(data, PlannedChunk(0, 0, 16, 1, 1, 3))


async def test_the_data_begin_after_the_header() -> None:
    """Offsets and lines count from the source's beginning, rows from the first data row."""
    data = b'"a\nx",b\r\n\r\n1,2\r\n3,4\r\n'
    chunks, totals = await planned(data, data_start=9, data_line=3)
    assert chunks == [PlannedChunk(0, 11, len(data), 1, 4, 2)]
    assert totals == Totals(2, len(data), 1, 1)
    assert line_ends(data, 0, chunks[0].start) + 1 == chunks[0].first_line


@pytest.mark.parametrize("data", [b"", b"a,b\n", b"a,b\n\n\r\n"])
async def test_no_data_no_chunks(data: bytes) -> None:
    """A source that is empty, or nothing but a header and blank lines, has totals and no chunk."""
    start = min(4, len(data))
    chunks, totals = await planned(data, data_start=start, data_line=2)
    assert (chunks, totals.rows, totals.chunks, totals.bytes) == ([], 0, 0, len(data))


async def test_a_huge_record_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record beyond a chunk's bytes is a chunk of its own, between its neighbours' chunks."""
    monkeypatch.setattr(planner, "MAX_CHUNK_BYTES", 100)
    chunks, _ = await planned(b"1,2\n" + b"x" * 5000 + b"\n3,4\n", max_record_bytes=1000)
    assert [(chunk.start, chunk.end, chunk.rows) for chunk in chunks] == [
        (0, 4, 1),
        (4, 5005, 1),
        (5005, 5009, 1),
    ]


async def test_the_source_is_read_once_in_large_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scan asks for every byte once, in order, in blocks of the size set."""
    monkeypatch.setattr(Bytes, "block_bytes", 10)
    data = b"1,2\n" * 8
    source = Bytes(data)
    [_ async for _ in planner.plan(source, spec_of(data))]
    assert source.read_ranges == [(0, 10), (10, 20), (20, 30), (30, 32)]


class Waiting(Bytes):
    """After its first block it keeps the reader waiting for ever."""

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        if start:
            await asyncio.Event().wait()
        return await super().read(pin, start, end)


async def test_a_consumer_that_stops_leaves_no_read_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Breaking off a plan ends the read ahead, even one that would never come back."""
    monkeypatch.setattr(Bytes, "block_bytes", 16)
    before = asyncio.all_tasks()
    plan = planner.plan(Waiting(b"1,2\n" * 8), spec_of(b"1,2\n" * 8))
    assert isinstance(await anext(plan), PlannedChunk)
    await plan.aclose()
    assert asyncio.all_tasks() == before


async def test_a_chunk_is_filled_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go into a chunk until one more would pass its bytes; to reach them exactly is allowed."""
    monkeypatch.setattr(planner, "MAX_CHUNK_BYTES", 8)
    chunks, _ = await planned(b"1,2\n" * 5, chunk_size=100)
    assert [chunk.rows for chunk in chunks] == [2, 2, 1]


@pytest.mark.parametrize(("cells", "rows"), [(5, [2, 2, 1]), (4, [2, 2, 1]), (1, [1] * 5), (100, [5])])
async def test_a_wide_table_has_fewer_rows_a_chunk(
    monkeypatch: pytest.MonkeyPatch, cells: int, rows: list[int]
) -> None:
    """A chunk has no more cells, by the header's width, than are allowed, and at least one row."""
    monkeypatch.setattr(planner, "MAX_CHUNK_CELLS", cells)
    chunks, _ = await planned(b"1,2\n" * 5, chunk_size=100)
    assert [chunk.rows for chunk in chunks] == rows
