"""Tables that are not plain UTF-8 land as if they were: copied once by the plan, then read like any other."""

from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rowvec import spool, steer
from rowvec.errors import InvalidRequest, SourceChanged, SourceDamaged
from rowvec.model import Flag, Hold, Task, TaskState
from rowvec.rejected import rejections
from rowvec.spec import SourcePin
from rowvec.spool import copy_name
from tests.copied_kit import Shelf, failed_task, table, zstd

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]
Pack = Callable[[bytes], bytes]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def expected(rows: int, word: str = "Größe") -> dict[int, str]:
    return {n: f"{word} {n},\nand more" for n in range(1, rows + 1)}


SPELT = [
    ("utf-8", None, lambda data: data),
    ("utf-8-sig", None, lambda data: data),
    ("utf-16", None, lambda data: data),
    ("utf-16", None, gzip.compress),
    ("utf-16-be", "utf-16-be", gzip.compress),
    ("latin-1", "latin-1", lambda data: data),
    ("cp1252", "windows-1252", zstd),
    ("utf-8", None, zstd),
    ("utf-8-sig", None, lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:])),
]


@pytest.mark.parametrize(("encoding", "declared", "pack"), SPELT)
async def test_every_row_lands_with_its_number_however_the_table_is_spelt(
    shelf: Shelf, encoding: str, declared: str | None, pack: Pack
) -> None:
    """The same rows, numbers and texts from every spelling, and nothing is left behind of the copy."""
    task_id = await shelf.submit_bytes(pack(table(35).encode(encoding)), declared)

    ended = await shelf.end_of(task_id)

    assert (ended.state, ended.error, ended.counts.upserted) == (TaskState.COMPLETED, None, 35)
    assert await shelf.texts() == expected(35)
    assert await shelf.copy_size(task_id) is None


async def test_rejected_rows_of_a_packed_utf16_table_have_their_numbers_and_lines(shelf: Shelf) -> None:
    """What is wrong with a record is told by its row, its line and its own content; the rest lands."""
    text = 'id,text\n1,größer\n2,two,three\n\n4,"über\nzwei"\n5,a\0b\n6,ende\n'
    ended = await shelf.end_of(await shelf.submit_bytes(gzip.compress(text.encode("utf-16"))))
    notes = [note async for note in rejections(shelf.machine, ended.id)]

    assert (ended.state, ended.counts.read, ended.counts.rejected) == (TaskState.COMPLETED, 5, 2)
    assert await shelf.texts() == {1: "größer", 3: "über\nzwei", 5: "ende"}
    assert [(note.row, note.line, note.code, note.content) for note in notes] == [
        (2, 3, "too-many-fields", "2,two,three"),
        (4, 7, "nul-byte", "5,a\0b"),
    ]


async def test_bytes_that_are_no_utf8_within_gzip_cost_their_record_only(shelf: Shelf) -> None:
    """UTF-8 is judged record by record, packed or not."""
    ended = await shelf.end_of(await shelf.submit_bytes(gzip.compress(b"id,text\n1,a\n2,\xff\n3,c\n")))
    assert (ended.state, ended.counts.upserted, ended.counts.rejected) == (TaskState.COMPLETED, 2, 1)


@pytest.mark.parametrize("nothing", [b"", b"id,text\n"])
async def test_a_packed_table_without_rows_completes(shelf: Shelf, nothing: bytes) -> None:
    """No bytes, or a header and no rows, is a finished task of no rows."""
    ended = await shelf.end_of(await shelf.submit_bytes(gzip.compress(nothing)))
    assert (ended.state, ended.counts.read) == (TaskState.COMPLETED, 0)


# Damage


LARGE = "id,text\n" + "".join(f"{n},{n * 7919 % 100_003}\n" for n in range(200_000))


async def assert_fails(shelf: Shelf, task_id: str, words: str) -> None:
    ended = await shelf.end_of(task_id)
    assert ended.state is TaskState.FAILED
    assert words in (ended.error or "")
    assert (shelf.embedder.given, await shelf.copy_size(task_id)) == ([], None)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
async def test_a_cut_source_fails_before_anything_is_embedded(shelf: Shelf, pack: Pack) -> None:
    """A download that broke off gives no table, not a shorter one."""
    packed = pack(LARGE.encode())
    await assert_fails(shelf, await shelf.submit_bytes(packed[:-8]), "Truncated")


async def test_something_after_the_packed_table_fails_the_task(shelf: Shelf) -> None:
    """Whatever follows the last member may have been rows."""
    task_id = await shelf.submit_bytes(gzip.compress(LARGE.encode()) + b"1,more\n")
    await assert_fails(shelf, task_id, "something else follows")


async def test_a_table_that_unpacks_to_more_than_the_setting_fails(shelf: Shelf) -> None:
    """The cap on bytes holds for the whole, and names its setting."""
    limits = replace(shelf.machine.limits, max_decompressed_bytes=len(LARGE) - 1)
    shelf.machine = replace(shelf.machine, limits=limits)
    task_id = await shelf.submit_bytes(gzip.compress(LARGE.encode()))
    await assert_fails(shelf, task_id, "MAX_DECOMPRESSED_BYTES")


async def test_bytes_that_are_not_of_the_encoding_fail_the_task_at_their_place(shelf: Shelf) -> None:
    """Nothing is replaced: the offset is told, and what to do."""
    coded = LARGE.encode("utf-16")
    await assert_fails(
        shelf, await shelf.submit_bytes(coded + b"1"), f"Byte {len(coded)} of the source is not utf-16"
    )


async def test_a_source_that_changed_before_its_copy_was_made_fails_the_task(shelf: Shelf) -> None:
    """The pin is checked while the copy is made."""
    task_id = await shelf.submit_bytes(gzip.compress(LARGE.encode()))
    shelf.file.write_bytes(gzip.compress(LARGE.replace("7", "8").encode()))
    await assert_fails(shelf, task_id, "has changed since it was submitted")


def packed(data: bytes) -> bytes:
    """The same bytes at any time: they are in the names of tests."""
    return gzip.compress(data, mtime=0)


HEADS = [
    (packed(b"id,text\n")[:-9], None, SourceDamaged, "Truncated"),
    (packed(packed(b"id,text\n")), None, SourceDamaged, "begins like gzip"),
    (packed(b"id,id\n"), None, SourceDamaged, "more than once"),
    ("id,text\n".encode("utf-16")[:-1], None, SourceDamaged, "Byte 16 of the source is not utf-16"),
    ("id,text\n".encode("utf-16-le"), None, SourceDamaged, "utf-16-le or utf-16-be"),
    ("id,größe\n".encode("latin-1"), None, SourceDamaged, "its `encoding`"),
    (b"PK\x03\x04", None, SourceDamaged, "a zip archive or a spreadsheet"),
    ("id,name\n".encode("utf-16"), None, InvalidRequest, "text_columns names 'text'"),
    (b"id,text\n", "klingon", InvalidRequest, "'klingon' is no encoding"),
    ("id,text\n".encode("utf-16"), "latin-1", InvalidRequest, "byte order mark of UTF-16-LE"),
]


@pytest.mark.parametrize(("data", "encoding", "error", "words"), HEADS)
async def test_what_is_wrong_at_the_beginning_is_refused_at_the_door(
    shelf: Shelf, data: bytes, encoding: str | None, error: type[Exception], words: str
) -> None:
    """Header faults and unknown columns are found in packed and foreign text, too, before there is a task."""
    with pytest.raises(error, match=words):
        await shelf.submit_bytes(data, encoding)
    assert (await shelf.ledger.tasks()).tasks == []


# Steering and crashes


async def test_a_plan_begun_anew_uses_the_copy_that_is_there(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy is whole or absent, so a plan that failed after making it does not make it again."""
    made: list[bytes] = []
    original = spool.converted

    def watched(*arguments: Any) -> AsyncGenerator[bytes]:
        made.append(b"once more")
        return original(*arguments)

    monkeypatch.setattr(spool, "converted", watched)
    task_id = await shelf.submit_bytes(gzip.compress(table(35).encode()))
    shelf.ledger.outages = {"append_chunks": 2}

    ended = await shelf.end_of(task_id)

    assert (ended.state, ended.counts.upserted, len(made)) == (TaskState.COMPLETED, 35, 1)
    assert not any(shelf.ledger.outages.values())


async def test_failed_chunks_of_a_copied_source_are_retried_from_the_copy(shelf: Shelf) -> None:
    """The copy stays while the task may still need it, and a retry does only what failed."""
    task_id = await shelf.submit_bytes(gzip.compress(table(35).encode("utf-16")))
    shelf.embedder.ailing = {"Größe 23,": ZeroDivisionError("a bug of ours")}
    failed = await shelf.end_of(task_id)
    kept = await shelf.copy_size(task_id)
    shelf.embedder.ailing = {}
    await steer.retry(shelf.machine, task_id)
    ended = await shelf.end_of(task_id)

    assert (failed.state, failed.counts.upserted, kept) == (TaskState.FAILED, 25, len(table(35).encode()))
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 35)
    assert len(shelf.embedder.given) == 35


async def test_a_retry_is_refused_when_the_packed_source_is_another_by_now(shelf: Shelf) -> None:
    """The pin is the source's own, not the copy's."""
    task_id = await shelf.submit_bytes(gzip.compress(table(35).encode()))
    shelf.embedder.ailing = {"Größe 23,": ZeroDivisionError("a bug of ours")}
    await shelf.end_of(task_id)
    shelf.file.write_bytes(gzip.compress(table(36).encode()))
    with pytest.raises(SourceChanged):
        await steer.retry(shelf.machine, task_id)


async def test_a_copy_that_is_gone_fails_its_chunks_in_words(shelf: Shelf) -> None:
    """Without the copy nothing is read from the packed bytes by mistake."""
    task_id = await failed_task(shelf)
    await shelf.machine.files.delete(copy_name(task_id))
    await shelf.ledger.flag(task_id, Flag.RETRY)
    ended = await shelf.end_of(task_id)
    errors = [chunk.error or "" for chunk in await shelf.ledger.chunks(task_id)]

    assert ended.state is TaskState.FAILED
    assert [(copy_name(task_id) in error) for error in errors] == [False, False, True, False]


async def test_a_paused_task_makes_no_copy_until_it_is_resumed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is held while its copy is made lets go of it, and begins it anew afterwards."""
    monkeypatch.setattr(spool, "READ_BYTES", 100)
    task_id = await shelf.submit_bytes(gzip.compress(table(200).encode()))
    source = type(shelf.machine.source("local"))
    read = source.read
    reads = 0

    async def pausing(self: Any, pin: SourcePin, start: int, end: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads == 2:
            await shelf.ledger.flag(task_id, Flag.PAUSE, "lunch")
        return await read(self, pin, start, end)

    monkeypatch.setattr(source, "read", pausing)
    async with shelf.worker():
        held = await shelf.ledger.until(task_id, lambda task: _is_let_go(task))
        assert (held.reason, reads, await shelf.copy_size(task_id)) == ("lunch", 2, None)
        await shelf.ledger.flag(task_id, Flag.RESUME)
        ended = await shelf.ledger.end_of(task_id)

    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 200)


def _is_let_go(task: Task) -> bool:
    return task.hold is Hold.PAUSED and task.worker is None
