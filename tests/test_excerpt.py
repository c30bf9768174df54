"""An estimate of a table that is packed or not UTF-8 looks at its text, and leaves nothing of it anywhere."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rowvec import estimate as estimating
from rowvec import spool, survey
from rowvec.disk import Disk
from rowvec.errors import DiskLow, SourceChanged, SourceDamaged, Unavailable
from rowvec.estimate import Estimate, estimate
from rowvec.excerpt import Excerpt
from rowvec.intake import prepare_spec, submit
from rowvec.sources.local import LocalSource
from rowvec.spec import SourcePin
from tests.copied_kit import Shelf, zstd

pytestmark = pytest.mark.anyio
Pack = Callable[[bytes], bytes]


class Shop(Shelf):
    """A shelf with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        settings = {**self.machine.settings, "DATA_DIR": str(folder / "data")}
        self.machine = replace(self.machine, settings=settings)

    async def estimated(self, data: bytes, encoding: str | None = None, chunk_size: int = 10) -> Estimate:
        self.file.write_bytes(data)
        return await estimate(self.machine, self.wish(encoding, chunk_size))

    def left_open(self) -> list[str]:
        """Files without a name that this process still holds open."""
        names = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]  # noqa: PTH115
        return [name for name in names if name.endswith("(deleted)") and str(self.file.parent) in name]


@pytest.fixture
async def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    await made.ledger.ready()
    return made


def table(rows: int) -> str:
    """Texts of 1 to 97 words over several lines, a blank line after every tenth."""
    lines = [
        f'row-{n},"{"größer " * (n * 31 % 97 + 1)}\nund mehr"\r\n' + "\r\n" * (n % 10 == 9)
        for n in range(rows)
    ]
    return "id,text\r\n" + "".join(lines)


def plain(data: bytes) -> bytes:
    return data


SPELT = [
    ("utf-16", None, plain),
    ("utf-16", None, gzip.compress),
    ("latin-1", "latin-1", plain),
    ("cp1252", "windows-1252", zstd),
    ("utf-8", None, gzip.compress),
    ("utf-8", None, zstd),
]


@pytest.mark.parametrize(("encoding", "declared", "pack"), SPELT)
async def test_the_estimate_is_that_of_the_same_table_in_plain_utf8(
    shop: Shop, encoding: str, declared: str | None, pack: Pack
) -> None:
    """Every number but the time and the size of the file itself, however the table is spelt."""
    text = table(3_000)
    wanted = await shop.estimated(text.encode())
    data = pack(text.encode(encoding))
    found = await shop.estimated(data, declared)

    own = {"bytes": len(data), "encoding": found.encoding, "compression": found.compression, "seconds": None}
    assert asdict(replace(found, seconds=None)) == asdict(wanted) | own
    assert (found.exact, found.rows, found.blank_lines, found.text_bytes) == (
        True,
        3_000,
        300,
        len(text.encode()),
    )
    names: dict[Pack, str] = {gzip.compress: "gzip", zstd: "zstd"}
    assert found.compression == names.get(pack, "")


async def test_it_is_what_the_task_then_counts(shop: Shop) -> None:
    """Rows, blank lines, chunks, tokens and rejected rows of a packed UTF-16 table with a bad row."""
    text = table(200) + "row-x,one,too many\r\n"
    found = await shop.estimated(gzip.compress(text.encode("utf-16")))
    ended = await shop.end_of((await submit(shop.machine, shop.wish())).task.id)

    assert (found.rows, found.blank_lines, found.chunks) == (
        ended.rows_planned,
        ended.blank_lines,
        ended.chunks_total,
    )
    assert (found.tokens, found.rows_to_embed) == (ended.counts.tokens, ended.counts.upserted)
    assert found.rejected_share == pytest.approx(1 / 201, abs=1e-6)


async def test_nothing_of_it_is_left(shop: Shop, tmp_path: Path) -> None:
    """No task, no namespace, no file in the store or on the disk, and nothing held open."""
    await shop.estimated(gzip.compress(table(100).encode()))

    assert (await shop.ledger.tasks()).tasks == []
    await shop.ledger.bind_namespace("default", "another-model", 3)
    assert await shop.machine.files.names("") == [] and shop.store.written == []
    assert list((tmp_path / "data").iterdir()) == [] and shop.left_open() == []


# Damage


LARGE = "id,text\n" + "".join(f"{n},{n * 7919 % 100_003}\n" for n in range(200_000))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(LARGE.encode())[:-8], "Truncated"),
        (zstd(LARGE.encode())[:-8], "Truncated"),
        (gzip.compress(LARGE.encode()) + b"1,more\n", "something else follows"),
        (LARGE.encode("utf-16") + b"1", "is not utf-16"),
    ],
)
async def test_a_damaged_source_is_refused_in_the_words_of_its_task(
    shop: Shop, data: bytes, words: str
) -> None:
    """A cut download has no estimate: its task would fail, and says the same."""
    with pytest.raises(SourceDamaged, match=words) as refused:
        await shop.estimated(data)
    ended = await shop.end_of((await submit(shop.machine, shop.wish())).task.id)

    assert refused.value.message == ended.error
    assert shop.left_open() == []


async def test_more_than_the_cap_is_refused(shop: Shop) -> None:
    """MAX_DECOMPRESSED_BYTES holds for an estimate, too."""
    limits = replace(shop.machine.limits, max_decompressed_bytes=len(LARGE) - 1)
    shop.machine = replace(shop.machine, limits=limits)
    with pytest.raises(SourceDamaged, match="MAX_DECOMPRESSED_BYTES"):
        await shop.estimated(gzip.compress(LARGE.encode()))


async def test_a_source_that_changes_meanwhile_is_noticed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of two versions are not mixed."""
    read = LocalSource.read

    async def changing(source: LocalSource, pin: SourcePin, start: int, end: int) -> bytes:
        found = await read(source, pin, start, end)
        shop.file.write_bytes(gzip.compress(LARGE.replace("7", "8").encode()))
        return found

    monkeypatch.setattr(LocalSource, "read", changing)
    with pytest.raises(SourceChanged):
        await shop.estimated(gzip.compress(LARGE.encode()))


# Bounds


def noise(rows: int) -> str:
    """A table that packs to about half its size."""
    draw = random.Random(7)
    return "id,text\n" + "".join(
        f"{n},{draw.randbytes(draw.randrange(10, 200)).hex()}\n" for n in range(rows)
    )


@pytest.mark.parametrize(
    ("encoding", "pack"), [("utf-8", gzip.compress), ("utf-8", zstd), ("utf-16", plain), ("utf-16", zstd)]
)
async def test_only_the_beginning_of_a_large_table_is_looked_at(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, encoding: str, pack: Pack
) -> None:
    """Beyond the limit rows follow from the bytes that were unpacked, and nothing is called exact."""
    for module in (survey, estimating):
        monkeypatch.setattr(module, "SCAN_BYTES", 8 << 20)
    monkeypatch.setattr("rowvec.unpack.RESERVE_BYTES", 1 << 20)
    monkeypatch.setattr(spool, "READ_BYTES", 1 << 18)
    read: list[int] = []
    original = LocalSource.read

    async def watched(source: LocalSource, pin: SourcePin, start: int, end: int) -> bytes:
        read.append(min(end, pin.size))
        return await original(source, pin, start, end)

    monkeypatch.setattr(LocalSource, "read", watched)
    rows = 90_000
    text = noise(rows)
    data = pack(text.encode(encoding))
    found = await shop.estimated(data, chunk_size=1000)

    assert not found.exact and found.blank_lines is None
    assert max(read) < 0.75 * len(data)
    assert found.rows == pytest.approx(rows, rel=0.05) and found.chunks == pytest.approx(
        rows / 1000, rel=0.05
    )
    assert found.text_bytes == pytest.approx(len(text.encode()), rel=0.05)
    assert (found.bytes, found.rejected_share) == (len(data), 0)


@pytest.mark.parametrize(("rows", "seen"), [(9, 8), (1, 0)])
async def test_the_record_that_was_cut_is_not_looked_at(shop: Shop, rows: int, seen: int) -> None:
    """Where an excerpt ends within a record, that is no fault of the table's: its chunk is left out."""
    text = "id,text\n" + "".join(f'{n},"some text"\n' for n in range(rows))
    shop.file.write_text(text[:-5])
    spec = await prepare_spec(shop.machine, shop.wish(chunk_size=2))
    found = await survey.survey(shop.machine.source("local"), spec, 2 * len(text))

    whole = (2 * len(text) - len("id,text\n")) / len('0,"some text"\n')
    assert (found.exact, found.rows) == (False, round(whole) if seen else 0)
    assert sum(stretch.rows for stretch in found.stretches) == seen


async def test_a_disk_without_room_is_said_so(shop: Shop) -> None:
    """The excerpt keeps the floor of the disk, and lets go of what it had written."""
    disk = Disk(Path("/data"), 1 << 30, lambda _folder: (1 << 30) - 1)
    shop.machine = replace(shop.machine, disk=disk)
    with pytest.raises(DiskLow, match="MIN_FREE_BYTES"):
        await shop.estimated(gzip.compress(table(1).encode() + b"x" * (40 << 20)))
    assert shop.left_open() == []


async def test_a_folder_that_cannot_be_written_is_named(shop: Shop, tmp_path: Path) -> None:
    """DATA_DIR is where the text goes; a file in its place is told in words."""
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(Unavailable, match="DATA_DIR"):
        await shop.estimated(gzip.compress(table(1).encode()))


async def test_an_excerpt_reads_like_any_source(tmp_path: Path) -> None:
    """Exactly the bytes asked for, up to its end, in any order."""
    made = Excerpt.open({"DATA_DIR": str(tmp_path)}, None)  # type: ignore[arg-type]  # it keeps no files there
    for part in (b"0123", b"", b"456789"):
        await made.write(part)
    pin = await made.pin("it")
    assert (pin.size, made.size) == (10, 10)
    assert [await made.read(pin, *span) for span in ((7, 99), (0, 4), (3, 5), (12, 20))] == [
        b"789",
        b"0123",
        b"34",
        b"",
    ]
    made.close()
