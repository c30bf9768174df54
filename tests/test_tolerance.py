"""Work that a person should look at before more is spent: too many rejected rows, too little disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rowvec import steer, tolerance
from rowvec.disk import LOOK_EVERY_SECONDS, WATCHED_BYTES, Disk
from rowvec.errors import DiskLow, PauseNeeded
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import (
    Chunk,
    ChunkFiles,
    Claim,
    Counts,
    Flag,
    Hold,
    PlannedChunk,
    Task,
    TaskState,
    Totals,
    WorkerInfo,
)
from rowvec.rejected import encode, grouped, rejections
from rowvec.rejection import Rejection
from rowvec.remembered import Remembered
from tests.worker_kit import Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]
GIB = 1024**3


def is_paused(task: Task) -> bool:
    return task.hold is Hold.PAUSED


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def spoilt(rows: int, bad: int) -> list[str]:
    """So many rows, of which the first `bad` have one or two fields too many."""
    return [f"text of row {n}{',more' * (1 + n % 2) if n < bad else ''}" for n in range(rows)]


# Too many of the first rows


async def test_a_task_whose_first_rows_are_mostly_rejected_pauses_and_asks(shop: Workshop) -> None:
    """The reason says how many of how many, the most frequent fault and what to do; little was spent."""
    shop.write(spoilt(2_000, 600))
    task_id = await shop.submit(chunk_size=100)
    async with shop.worker():
        held = await shop.ledger.until(task_id, is_paused)
    task = await shop.ledger.task(task_id)

    assert held.reason is not None
    assert held.reason.startswith("Too many of the first rows are rejected: ")
    assert " of the first 1,000 rows were rejected" in held.reason
    assert "'too-many-fields' (row 1: 2 fields are expected" in held.reason
    assert f"/api/v1/tasks/{task_id}/rejected" in held.reason and "resume" in held.reason
    assert task.counts.read < 1_500


async def test_a_short_table_is_judged_by_all_its_rows(shop: Workshop) -> None:
    """With fewer than 1,000 rows more than half of all of them pauses the task while chunks remain."""
    shop.write(spoilt(100, 60))
    task_id = await shop.submit()
    async with shop.worker():
        held = await shop.ledger.until(task_id, is_paused)

    assert held.reason is not None and " of the first 100 rows were rejected" in held.reason


async def test_a_resumed_task_is_not_asked_again(shop: Workshop) -> None:
    """A person who resumes has seen it: the task goes on to its end, whatever is rejected still."""
    shop.write(spoilt(3_000, 2_900))
    task_id = await shop.submit(chunk_size=100)
    async with shop.worker():
        await shop.ledger.until(task_id, is_paused)
    await steer.resume(shop.machine, task_id)
    async with shop.worker():
        ended = await shop.ledger.until(task_id, lambda task: task.state.ended or is_paused(task))

    assert (ended.state, ended.hold) == (TaskState.COMPLETED, Hold.NONE)
    assert (ended.counts.rejected, ended.counts.upserted) == (2_900, 100)


async def test_resuming_from_another_pause_leaves_the_question_open(shop: Workshop) -> None:
    """Only who has read the question has answered it: a pause on request before it is no answer."""
    shop.write(spoilt(2_000, 2_000))
    task_id = await shop.submit(chunk_size=100)
    await shop.ledger.flag(task_id, Flag.PAUSE, "paused on request")
    await steer.resume(shop.machine, task_id)
    async with shop.worker():
        held = await shop.ledger.until(task_id, lambda task: task.state.ended or is_paused(task))

    assert is_paused(held)


@pytest.mark.parametrize(
    ("rows", "bad", "share"), [(2_000, 500, 0.5), (100, 50, 0.5), (10, 10, 0.5), (2_000, 1_500, 1.0)]
)
async def test_a_task_within_its_share_or_with_nothing_left_goes_on(
    shop: Workshop, rows: int, bad: int, share: float
) -> None:
    """Exactly the share is not more than it; a table of one chunk has nothing left to spend; 1 never asks."""
    shop.machine = replace(shop.machine, limits=replace(shop.machine.limits, rejected_share=share))
    shop.write(spoilt(rows, bad))
    task_id = await shop.submit(chunk_size=100 if rows > 100 else 10)
    async with shop.worker():
        ended = await shop.ledger.until(task_id, lambda task: task.state.ended or is_paused(task))

    assert (ended.state, ended.counts.rejected) == (TaskState.COMPLETED, bad)


async def test_rejections_after_the_first_rows_pause_nothing(shop: Workshop) -> None:
    """The question is about the first 1,000 rows, not about how many there are in all."""
    good, bad = spoilt(1_000, 0), spoilt(2_000, 2_000)
    shop.write(good + bad)
    task_id = await shop.submit(chunk_size=100)
    async with shop.worker():
        ended = await shop.ledger.until(task_id, lambda task: task.state.ended or is_paused(task))

    assert (ended.state, ended.counts.rejected) == (TaskState.COMPLETED, 2_000)


class Looks:
    """Counts how often the ledger is asked for chunks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        chunks = SqlLedger.chunks

        async def watched(*arguments: Any, **options: Any) -> list[Chunk]:
            self.count += 1
            return await chunks(*arguments, **options)

        monkeypatch.setattr(SqlLedger, "chunks", watched)


async def while_working(shop: Workshop, task_id: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Looks at the chunks while the task is worked on to its end; settling adds those it always needs."""
    looks = Looks(monkeypatch)
    async with shop.worker():
        ended = await shop.ledger.until(task_id, lambda task: task.state.ended or is_paused(task))
    assert ended.state is TaskState.COMPLETED
    return looks.count


async def test_many_rejections_cost_no_look_at_the_ledger_a_chunk(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the first rows are done the answer is final: 2,000 rejected rows more ask nothing."""
    shop.write(spoilt(1_000, 499) + spoilt(19_000, 19_000))
    task_id = await shop.submit(chunk_size=100)

    assert await while_working(shop, task_id, monkeypatch) < 30


async def test_a_resumed_task_costs_no_look_at_the_ledger_a_chunk(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer of a person is final as well."""
    shop.write(spoilt(20_000, 20_000))
    task_id = await shop.submit(chunk_size=100)
    async with shop.worker():
        await shop.ledger.until(task_id, is_paused)
    await steer.resume(shop.machine, task_id)

    assert await while_working(shop, task_id, monkeypatch) < 30


class ByHand:
    """A planned task of chunks of 100 rows that the test commits itself."""

    def __init__(self, shop: Workshop, task_id: str, claims: list[Claim]) -> None:
        self._shop = shop
        self._task_id = task_id
        self._claims = {claim.chunk.plan.number: claim for claim in claims if claim.chunk}

    @classmethod
    async def of(cls, shop: Workshop, chunks: int) -> ByHand:
        ledger = shop.ledger
        shop.write(spoilt(1, 0))
        task_id = await shop.submit(chunk_size=100)
        await ledger.enlist(WorkerInfo("w", "here", 1, 0.0, 100))
        (plan,) = await ledger.claim("w", 1)
        planned = [PlannedChunk(n, 100 * n, 100 * n + 100, 100 * n + 1, 1, 100) for n in range(chunks)]
        await ledger.append_chunks(task_id, plan.fence, planned)
        await ledger.planned(task_id, plan.fence, Totals(100 * chunks, 100 * chunks, 0, chunks))
        return cls(shop, task_id, await ledger.claim("w", 100))

    async def commit(self, rejected: int, *numbers: int) -> None:
        """These chunks are done, each with so many rejected rows."""
        counts = Counts(read=100, upserted=100 - rejected, rejected=rejected)
        for number in numbers:
            file = f"tasks/{self._task_id}/{number}.jsonl"
            note = Rejection("rejected", 100 * number + 1, 1, 0, 1, "odd", "it is odd", "")
            await self._shop.machine.files.write(file, encode([note] * rejected))
            claim = self._claims[number]
            await self._shop.ledger.commit(
                self._task_id, number, claim.fence, counts, ChunkFiles(rejected=file)
            )

    async def check(self) -> None:
        await tolerance.check(self._shop.machine, await self._shop.ledger.task(self._task_id))


async def test_what_may_still_change_is_not_taken_for_an_answer(shop: Workshop) -> None:
    """While first rows are open whose rejection would be too much, the question is asked again."""
    task = await ByHand.of(shop, 20)
    await task.commit(100, 1, 2, 3, 4, 10, 11, 12)
    await task.check()
    await task.commit(0, 5, 6, 7)
    await task.check()
    await task.commit(51, 0, 8)
    with pytest.raises(PauseNeeded, match="502 of the first 1,000 rows"):
        await task.check()


async def test_an_answer_that_nothing_can_change_is_not_asked_for_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as the open ones among the first rows are too few to matter, no more looks are taken."""
    task = await ByHand.of(shop, 20)
    await task.commit(100, 1, 2, 3, 4, 10, 11, 12)
    await task.commit(0, 5, 6, 7, 8, 9)
    looks = Looks(monkeypatch)
    for _ in range(5):
        await task.check()
    asked = looks.count
    await task.commit(100, 0)
    await task.check()

    assert looks.count == asked <= 2


def test_what_is_remembered_is_bounded() -> None:
    """The oldest is forgotten."""
    names = Remembered(3)
    for name in "abcad":
        names.add(name)
    assert [name in names for name in "abcd"] == [False, True, True, True]


# Groups


async def test_rows_left_out_are_counted_by_reason(shop: Workshop) -> None:
    """A group has its number, the first and the last row, and the first row's reason and content."""
    good = [(name, "fine") for name in "fghijk"]
    shop.write_pairs([("a", "1"), ("b", "2,3"), ("", "x"), ("d", "4,5"), ("e", "6,7"), *good])
    ended = await shop.end_of(await shop.submit(chunk_size=3))
    groups = await grouped(rejections(shop.machine, ended.id))

    assert [(g.code, g.count, g.first_row, g.last_row, g.content) for g in groups] == [
        ("too-many-fields", 3, 2, 5, "b,2,3"),
        ("empty-id", 1, 3, 3, ",x"),
    ]
    assert groups[0].reason == "2 fields are expected, as in the header; 3 were found"


# Disk


class Gauge:
    """A disk and a clock to set by hand."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.now = 0.0
        self.looks = 0

    def look(self, _folder: Path) -> int:
        self.looks += 1
        return self.free

    def disk(self, floor: int = GIB) -> Disk:
        return Disk(Path("/data"), floor, self.look, lambda: self.now)


async def test_a_disk_below_the_floor_pauses_the_task_until_there_is_room(shop: Workshop) -> None:
    """The reason says how much is free, the floor, where, and what to do; after a resume all rows land."""
    gauge = Gauge(GIB - 1)
    shop.machine = replace(shop.machine, disk=gauge.disk())
    shop.write(spoilt(50, 0))
    task_id = await shop.submit()
    async with shop.worker():
        held = await shop.ledger.until(task_id, is_paused)
        paid = list(shop.embedder.given)
        gauge.free = 10 * GIB
        await steer.resume(shop.machine, task_id)
        ended = await shop.ledger.end_of(task_id)

    assert held.reason is not None
    for part in ("1,073.7 MB free", "1,073.7 MB must stay free", "/data", "MIN_FREE_BYTES", "resume"):
        assert part in held.reason
    assert (paid, ended.state, ended.counts.upserted) == ([], TaskState.COMPLETED, 50)


async def test_a_fine_disk_is_looked_at_once_in_a_few_seconds_and_a_low_one_always() -> None:
    """The look is cheap, and room that was made is seen at once."""
    gauge = Gauge(2 * GIB)
    disk = gauge.disk()
    for _ in range(5):
        await disk.check()
    assert gauge.looks == 1
    gauge.free, gauge.now = 0, LOOK_EVERY_SECONDS
    for _ in range(2):
        with pytest.raises(DiskLow):
            await disk.check()
    gauge.free = 2 * GIB
    await disk.check()
    assert gauge.looks == 4


async def test_a_floor_of_zero_never_looks() -> None:
    """MIN_FREE_BYTES=0 switches the check off."""
    gauge = Gauge(0)
    await gauge.disk(0).check()
    await gauge.disk(0).require(1 << 60)
    assert gauge.looks == 0


async def test_a_stream_of_unknown_length_is_stopped_when_the_disk_runs_low() -> None:
    """Without a Content-Length the disk is looked at on the way."""
    gauge = Gauge(GIB)
    taken = 0

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3 * WATCHED_BYTES >> 20):
            yield bytes(1 << 20)

    with pytest.raises(DiskLow):
        async for part in gauge.disk().watched(parts()):
            taken += len(part)
    assert 0 < taken < WATCHED_BYTES


async def test_the_real_disk_is_found_for_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    """The file system is that of the nearest folder above."""
    await Disk(tmp_path / "not" / "yet", 1).check()
    with pytest.raises(DiskLow, match="not/yet"):
        await Disk(tmp_path / "not" / "yet", 1 << 62).check()
