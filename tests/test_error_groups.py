"""Errors by cause: counted, shown with a sample, cut honestly, and retried group by group."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowvec.error_groups import CHUNK_FAILED, SAMPLE_CHARACTERS, ErrorGroups, error_groups, retry_group
from rowvec.errors import SourceChanged, WrongState
from rowvec.model import ChunkState, Task, TaskState
from rowvec.rejected import rejections
from rowvec.repair import repair_table
from tests.worker_kit import Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


async def ended(shop: Workshop, texts: list[str]) -> Task:
    shop.write(texts)
    return await shop.end_of(await shop.submit())


async def groups_of(shop: Workshop, task: Task) -> ErrorGroups:
    return await error_groups(shop.machine, await shop.ledger.task(task.id))


def spoilt(rows: int) -> list[str]:
    """Of ten rows one has a field too many, one has two too many, one has no text."""
    ends = {3: ",more", 5: ",more,and more"}
    return ["" if n % 10 == 7 else f"text of row {n}{ends.get(n % 10, '')}" for n in range(rows)]


async def test_rejected_rows_by_cause(shop: Workshop) -> None:
    """Rows whose reasons differ in numbers only are one group, with the first of them as its sample."""
    task = await ended(shop, spoilt(50))
    found = await groups_of(shop, task)
    assert (found.rows_rejected, found.rows_looked_at, found.is_cut) == (15, 15, False)
    assert [(group.rows, group.row, group.chunks) for group in found.groups] == [(10, 4, 0), (5, 8, 0)]
    fields = found.groups[0]
    assert (
        "N" in fields.pattern and "3 were" in fields.reason and fields.content == "row-3,text of row 3,more"
    )
    ends = [chunk.ended_at or 0.0 for chunk in await shop.ledger.chunks(task.id)]
    assert (fields.first_seen, fields.last_seen) == (min(ends), max(ends))


async def test_rows_of_one_group(shop: Workshop) -> None:
    """The list and the table to repair can be had for one cause alone."""
    task = await ended(shop, spoilt(20))
    many, empty = (await groups_of(shop, task)).groups
    rows = [note.row async for note in rejections(shop.machine, task.id, group=empty.id)]
    assert rows == [8, 18]
    lines = [line async for line in repair_table(shop.machine, task, many.id)]
    assert [line.split(b",")[0] for line in lines] == [b"_row", b"4", b"6", b"14", b"16"]
    assert [note async for note in rejections(shop.machine, task.id, group="0" * 12)] == []


async def test_a_look_ends_at_its_bound(shop: Workshop) -> None:
    """No chunk is read once enough rows have been looked at, and that is told."""
    task = await ended(shop, spoilt(50))
    found = await error_groups(shop.machine, task, most_rows=4)
    assert (found.rows_rejected, found.rows_looked_at, found.is_cut) == (15, 6, True)
    assert [group.rows for group in found.groups] == [4, 2]


async def test_a_sample_is_cut(shop: Workshop) -> None:
    """However long the row is."""
    task = await ended(shop, [f"{'long ' * 1_000},more", *(f"row {n}" for n in range(5))])
    (group,) = (await groups_of(shop, task)).groups
    assert len(group.content) == SAMPLE_CHARACTERS


async def failing(shop: Workshop) -> Task:
    """A failed task: chunks 1 and 4 for one reason, chunk 2 for another."""
    texts = [f"text of row {n}." for n in range(60)]
    shop.embedder.ailing = {
        "row 15.": ValueError("shard 15 is gone"),
        "row 25.": ValueError("no such shard"),
        "row 45.": ValueError("shard 45 is gone"),
    }
    task = await ended(shop, texts)
    assert (task.state, task.chunks_failed) == (TaskState.FAILED, 3)
    return task


async def test_failed_chunks_by_cause(shop: Workshop) -> None:
    """Failed chunks stand first, with the rows they hold."""
    task = await failing(shop)
    found = (await groups_of(shop, task)).groups
    assert [(group.code, group.chunks, group.rows, group.row) for group in found] == [
        (CHUNK_FAILED, 2, 20, 11),
        (CHUNK_FAILED, 1, 10, 21),
    ]
    assert "shard 15 is gone" in found[0].reason and "shard N is gone" in found[0].pattern


async def test_only_one_group_is_retried(shop: Workshop) -> None:
    """The others stay failed, and with them the task, until they are retried as well."""
    task = await failing(shop)
    shards, other = (await groups_of(shop, task)).groups
    shop.embedder.ailing = {}
    assert (await retry_group(shop.machine, task.id, shards.id)).state is TaskState.PROCESSING
    again = await shop.end_of(task.id)
    assert (again.state, again.chunks_failed, again.chunks_done) == (TaskState.FAILED, 1, 5)
    assert [group.id for group in (await groups_of(shop, task)).groups] == [other.id]
    with pytest.raises(WrongState, match="no failed chunk in the group"):
        await retry_group(shop.machine, task.id, shards.id)
    await retry_group(shop.machine, task.id, other.id)
    assert (await shop.end_of(task.id)).state is TaskState.COMPLETED
    assert len(await shop.stored()) == 60


async def test_no_group_of_another_table_is_retried(shop: Workshop) -> None:
    """Where the source has changed, chunks of two versions must not mix."""
    task = await failing(shop)
    shards = (await groups_of(shop, task)).groups[0]
    shop.write(["another table"])
    with pytest.raises(SourceChanged):
        await retry_group(shop.machine, task.id, shards.id)
    failed = await shop.ledger.chunks(task.id, state=ChunkState.FAILED)
    assert len(failed) == 3
