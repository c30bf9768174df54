"""What is told of a task's table is right in every state: nothing is claimed before it is known."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from app.api.status import StatusView, status_of
from app.api.views import TaskList
from app.cli.summary import table as told
from rowvec import steer
from rowvec.analysis import chunk_memory
from rowvec.estimate import estimate
from rowvec.model import Flag, PlannedChunk, TaskState, WorkerInfo
from tests.copied_kit import Shelf, failed_task, table

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]
SCANNED = ("text_bytes", "rows", "blank_lines", "chunks", "memory_estimate_bytes")
PACKED = gzip.compress("id;text;größe\r\n1;eins;2\r\n".encode("utf-16"))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def seen(shelf: Shelf, task_id: str) -> StatusView:
    return await status_of(shelf.ledger, await shelf.ledger.task(task_id))


def assert_only_spelt(view: StatusView, size: int) -> None:
    found = view.analysis
    assert [getattr(found, name) for name in SCANNED] == [None] * len(SCANNED)
    assert (found.bytes, found.columns) == (size, ["id", "text", "größe"])
    assert (found.encoding, found.compression, found.delimiter) == ("utf-16", "gzip", ";")
    assert told(found) == [
        f"table: {size} bytes of utf-16 gzip; 3 columns separated by ';' (id, text, größe)",
        "not scanned to its end yet; chunks of up to 10 rows",
    ]


async def test_before_the_scan_only_the_spelling_is_told(shelf: Shelf) -> None:
    """Pending, paused and cancelled without a plan: what only the scan can tell is null."""
    task_id = await shelf.submit_bytes(PACKED)
    views = [await seen(shelf, task_id)]
    await shelf.ledger.flag(task_id, Flag.PAUSE)
    views.append(await seen(shelf, task_id))
    await steer.cancel(shelf.machine, task_id)
    views.append(await seen(shelf, task_id))

    assert [view.status for view in views] == ["pending", "paused", "cancelled"]
    for view in views:
        assert_only_spelt(view, len(PACKED))


async def test_a_task_that_failed_over_its_plan_tells_no_number(shelf: Shelf) -> None:
    """What was found up to the damage is not what the table holds."""
    task_id = await shelf.submit_bytes(PACKED)
    shelf.file.write_bytes(PACKED + b"more")
    assert (await shelf.end_of(task_id)).state is TaskState.FAILED
    assert_only_spelt(await seen(shelf, task_id), len(PACKED))


async def test_while_it_is_scanned_nothing_is_told_yet(shelf: Shelf) -> None:
    """Rows that were found already are in the account, the analysis waits for the end."""
    task_id = await shelf.submit_bytes(PACKED)
    await shelf.ledger.enlist(WorkerInfo("w", "here", 1, 0.0, 1))
    (claim,) = await shelf.ledger.claim("w", 1)
    await shelf.ledger.append_chunks(task_id, claim.fence, [PlannedChunk(0, 16, 26, 1, 2, 1)])
    view = await seen(shelf, task_id)

    assert (view.stage, view.conservation.read, view.progress.chunks_total) == ("planning", 1, 1)
    assert_only_spelt(view, len(PACKED))


@pytest.mark.parametrize("packed", [False, True])
async def test_once_planned_it_is_the_same_to_the_end_and_after_it(shelf: Shelf, packed: bool) -> None:
    """At work, completed and without the copy: the numbers of the table, and those of the estimate."""
    text = (table(35) + "\n\n").encode()
    data = gzip.compress(text) if packed else text
    task_id = await shelf.submit_bytes(data)
    shelf.embedder.held = "Größe"
    async with shelf.worker():
        await shelf.ledger.until(task_id, lambda task: task.planned)
        at_work = await seen(shelf, task_id)
        shelf.embedder.opened.set()
        await shelf.ledger.end_of(task_id)
    ended = await seen(shelf, task_id)
    found = ended.analysis

    assert (at_work.status, ended.status) == ("processing", "completed")
    assert at_work.analysis == found
    size = len(text) - 2 if packed else len(text)
    assert (found.bytes, found.text_bytes) == (len(data), size)
    assert (found.rows, found.blank_lines, found.chunks, found.chunk_size) == (35, 2, 4, 10)
    assert found.memory_estimate_bytes == chunk_memory(size, 35, 10, 8)
    expected = await estimate(shelf.machine, shelf.wish())
    assert found.memory_estimate_bytes == pytest.approx(expected.memory_bytes, rel=0.01)
    assert "35 rows and 2 blank lines in 4 chunks of up to 10" in told(found)[1]
    assert ("bytes as UTF-8" in told(found)[1]) is packed


async def test_a_failed_task_keeps_what_its_plan_has_found(shelf: Shelf) -> None:
    """Failed chunks change nothing about the table."""
    found = (await seen(shelf, await failed_task(shelf))).analysis
    assert (found.rows, found.chunks, found.text_bytes) == (35, 4, len(table(35).encode()))


@pytest.mark.parametrize("text", [b"", b"id,text\r\n"])
async def test_a_table_without_rows_takes_nothing(shelf: Shelf, text: bytes) -> None:
    """No rows, no chunks, no memory, and the header's columns where there is one."""
    task_id = await shelf.submit_bytes(gzip.compress(text))
    await shelf.end_of(task_id)
    found = (await seen(shelf, task_id)).analysis
    assert (found.rows, found.chunks, found.memory_estimate_bytes) == (0, 0, 0)
    assert (found.text_bytes, found.columns) == (len(text), ["id", "text"] if text else [])


async def test_a_list_of_tasks_tells_the_same(shelf: Shelf) -> None:
    """Every task of a page has its own table's analysis."""
    first = await shelf.submit_bytes(gzip.compress(table(35).encode()))
    await shelf.end_of(first)
    second = await shelf.submit_bytes(PACKED)
    listed = await TaskList.of(shelf.ledger, await shelf.ledger.tasks())
    assert [view.analysis for view in listed.tasks] == [
        (await seen(shelf, task_id)).analysis for task_id in (second, first)
    ]
