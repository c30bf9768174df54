"""How a task ends: the last row of an id wins, and what older rows left behind goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rowvec.rejected import rejections
from rowvec.verify import verify
from tests.worker_kit import Workshop

pytestmark = pytest.mark.anyio


async def test_a_winner_that_was_overtaken_is_written_again(tmp_path: Path) -> None:
    """The last row of the file wins also when the chunk of the earlier one lands later."""
    shop = Workshop(tmp_path)
    rows = [(f"row-{n}", f"text of row {n}.") for n in range(20)]
    shop.write_pairs([*rows[:19], ("row-0", "the last word")])
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        await shop.ledger.until(task_id, lambda task: task.chunks_done == 1)
        shop.embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)
    doubled = [note async for note in rejections(shop.machine, task_id, "duplicate")]

    assert shop.store.written[-1] == "row-0"
    assert (await shop.stored())["row-0"] == 20
    assert (ended.counts.upserted, ended.counts.duplicate, ended.counts.passages) == (19, 1, 19)
    assert [note.row for note in doubled] == [1]
    assert (await verify(shop.machine, task_id)).ok


@pytest.mark.parametrize("chunk_size", [1, 10])
@pytest.mark.parametrize("part", ["embedder", "store"])
async def test_the_last_row_that_is_not_refused_wins(tmp_path: Path, part: str, chunk_size: int) -> None:
    """Wherever chunks end: an id is lost only where every one of its rows is refused."""
    shop = Workshop(tmp_path)
    a, b = [("a", "first"), ("a", "second"), ("a", "poison")], [("b", "poison"), ("b", "more poison")]
    shop.write_pairs([a[0], b[0], a[1], a[2], b[1], ("c", "c")])
    (shop.embedder if part == "embedder" else shop.store).poison = "poison"
    ended = await shop.end_of(await shop.submit(chunk_size))
    refused = [note async for note in rejections(shop.machine, ended.id)]
    doubled = [note async for note in rejections(shop.machine, ended.id, "duplicate")]

    assert await shop.stored() == {"a": 3, "c": 6}
    assert [(note.row, note.code) for note in refused] == [(row, f"refused-by-{part}") for row in (2, 4, 5)]
    assert [(note.row, note.reason[:25]) for note in doubled] == [(1, "row 3 has the same id 'a'")]
    assert (ended.counts.upserted, ended.counts.duplicate, ended.counts.rejected) == (2, 1, 3)
    assert (await verify(shop.machine, ended.id)).ok
    if chunk_size == 10:
        assert refused[1].reason.endswith("; row 3, which has the same id, is kept instead")


async def test_only_rows_that_landed_are_warned_about(tmp_path: Path) -> None:
    """What was trimmed of a row that is replaced or refused is nobody's concern."""
    shop = Workshop(tmp_path)
    shop.write_pairs([("a", "long " * 100), ("a", "short"), ("b", "poison " * 100), ("c", "long " * 100)])
    shop.store.max_metadata_bytes = 200
    shop.embedder.poison = "poison"
    ended = await shop.end_of(await shop.submit())
    warned = [note async for note in rejections(shop.machine, ended.id, "warning")]

    assert [note.row for note in warned] == [4]
    assert (ended.counts.upserted, ended.counts.warnings) == (2, 1)


async def test_a_winner_whose_later_double_was_refused_is_written_again(tmp_path: Path) -> None:
    """It is not the last of its id in its chunk, and all the same found there when it was overtaken."""
    shop = Workshop(tmp_path)
    rows = [(f"row-{n}", f"text of row {n}.") for n in range(20)]
    shop.write_pairs([*rows[:18], ("row-0", "the last word"), ("row-0", "poison")])
    shop.embedder.held, shop.embedder.poison = "row 0.", "poison"
    task_id = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        await shop.ledger.until(task_id, lambda task: task.chunks_done == 1)
        shop.embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)

    assert (await shop.stored())["row-0"] == 19
    assert (ended.counts.upserted, ended.counts.duplicate, ended.counts.rejected) == (18, 1, 1)


async def test_a_row_that_shrinks_loses_its_old_passages(tmp_path: Path) -> None:
    """Long rows land as numbered passages; sent in again with other lengths, only the new ones are left."""
    shop = Workshop(tmp_path, max_tokens=8)
    long = " ".join(f"word{n}" for n in range(30))
    shop.write({"shrinks": long, "grows": "short", "stays": long})
    await shop.end_of(await shop.submit())
    before = await shop.stored()
    shop.write({"shrinks": "short", "grows": long, "stays": long})

    ended = await shop.end_of(await shop.submit())
    after = await shop.stored()

    assert {"shrinks#1", "shrinks#2", "shrinks#3", "grows", "stays#1"} <= before.keys()
    assert {"shrinks", "grows#1", "grows#2", "grows#3", "stays#1"} <= after.keys()
    assert not {"shrinks#1", "shrinks#2", "grows"} & after.keys()
    assert len(after) == ended.counts.passages
    assert (await verify(shop.machine, ended.id)).ok


async def test_an_earlier_task_that_ends_later_does_not_take_out_what_a_later_one_wrote(
    tmp_path: Path,
) -> None:
    """Only passages of tasks submitted before are old: those of a later task stay whole."""
    shop = Workshop(tmp_path, max_tokens=8)
    shop.write({"row": "first"})
    shop.embedder.held = "first"
    earlier = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        shop.write({"row": " ".join(f"word{n}" for n in range(30))})
        later = await shop.submit()
        await shop.ledger.end_of(later)
        shop.embedder.opened.set()
        await shop.ledger.end_of(earlier)

    assert (await verify(shop.machine, later)).ok
