"""From the door to the rows: reading chunk by chunk is reading the whole, however the table is spelt.

The whole is read by the standard library and the slow rules of test_records, from bytes that are generated,
encoded, packed and damaged. The path is submit, the UTF-8 copy where there is one, the plan, and each chunk.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowvec import glimpse, planner, spool
from rowvec.embedders.memory import MemoryEmbedder
from rowvec.errors import SourceDamaged
from rowvec.filestores.folder import FolderStore
from rowvec.intake import TaskRequest, submit
from rowvec.lease import Heartbeat, Lease
from rowvec.ledgers.memory import MemoryLedger
from rowvec.machine import Limits, Machine
from rowvec.model import Task, WorkerInfo
from rowvec.planning import run_plan
from rowvec.reader import read_chunk
from rowvec.sources.base import Source
from rowvec.spool import opened
from rowvec.vectorstores.memory import MemoryStore
from tests.test_records import NO_LIMIT, Slow

pytestmark = pytest.mark.anyio
CHUNK_SIZES = (1, 2, 3, 1000)
HEADER = "a,b\n"
LAYOUT = ("Take out what stands before the header", "Another table begins", "is the header once more")


@dataclass(frozen=True)
class Spelling:
    """How text becomes bytes, and what the caller says of it."""

    codec: str
    mark: bytes = b""
    declared: str | None = None

    def encode(self, text: str) -> bytes:
        """Without what the encoding cannot spell; UTF-8 and UTF-16 spell halves of surrogate pairs, too."""
        passed = "surrogatepass" if self.codec.startswith("utf") else "ignore"
        return text.encode(self.codec, passed)

    def decode(self, data: bytes) -> bytes | None:
        """The UTF-8 that the machine reads; None where the bytes are not of the encoding."""
        if self.codec == "utf-8":
            return data
        try:
            return (
                data.removeprefix(self.mark)
                .decode(self.codec, "surrogatepass")
                .encode("utf-8", "surrogatepass")
            )
        except UnicodeDecodeError:
            return None


SPELLINGS = [
    Spelling("utf-8"),
    Spelling("utf-8", b"\xef\xbb\xbf"),
    Spelling("utf-16-le", b"\xff\xfe"),
    Spelling("utf-16-be", b"\xfe\xff"),
    Spelling("utf-16-le", declared="utf-16-le"),
    Spelling("latin-1", declared="latin-1"),
    Spelling("cp1252", declared="cp1252"),
]

Damage = tuple[str, int, bytes]
wild = st.sampled_from([b"\0", b"\xff", b'"', b"\n", b"\r", b",", b"\xd8", b"\xed\xa0\x80", b"\x81", b"\x80"])
damages = st.lists(
    st.tuples(st.sampled_from(["cut", "flip", "insert", "drop"]), st.integers(0, 120), wild), max_size=3
)
pieces = st.sampled_from([*'a,"\n\r\0;éÿ€😀ĊĢ\u2028\ufeff\ud83d\ude00', '",', '","', ',"', '"\n'])
lines = st.sampled_from(["1,2", '"3","4\n"', "5,€"]) | st.lists(pieces, max_size=5).map("".join)
texts = st.lists(st.tuples(lines, st.sampled_from(["\n", "\r\n", "\r"])), max_size=10).map(
    lambda ended: "".join(line + end for line, end in ended)
)


def damaged(data: bytes, damage: list[Damage]) -> bytes:
    for kind, where, piece in damage:
        at = where % (len(data) + 1)
        if kind == "cut":
            data = data[:at]
        elif kind == "flip":
            data = data[:at] + bytes(byte ^ piece[0] for byte in data[at : at + 1]) + data[at + 1 :]
        else:
            data = data[:at] + (piece if kind == "insert" else b"") + data[at + (kind == "drop") :]
    return data


@dataclass(frozen=True)
class Seen:
    """A record: number, line and byte range, and its values or the code it is rejected with."""

    row: int
    line: int | None
    start: int | None
    end: int | None
    what: list[str] | str


def whole(text: bytes, limit: int) -> tuple[list[Seen], int]:
    """All records below the header, one at a time, by the rules and the csv module; and the blank lines."""
    head = len(text) - len(text.removeprefix(b"\xef\xbb\xbf")) + len(HEADER)
    body = text[head:]
    slow = Slow(body, ord(","), limit).run()
    records = [
        Seen(row, line + 1, start + head, end + head, fault or judged(body[start:end]))
        for row, (start, end, line, fault) in enumerate(slow.found, 1)
    ]
    return records, slow.blank


def judged(record: bytes) -> list[str] | str:
    if b"\0" in record:
        return "nul-byte"
    try:
        [row] = csv.reader(io.StringIO(record.decode(), newline=""), strict=True)
    except UnicodeDecodeError:
        return "not-utf8"
    if len(row) != 2:
        return "too-few-fields" if len(row) < 2 else "too-many-fields"
    return row


class Way:
    """A machine that goes from the door to the rows of one file, and no further."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.machine = Machine(
            MemoryLedger(),
            FolderStore(folder / "files"),
            MemoryStore(),
            MemoryEmbedder(8),
            "memory",
            {"LOCAL_FILES_DIR": str(folder)},
            Limits(max_record_bytes=limit),
        )

    async def planned(self, chunk_size: int, encoding: str | None) -> Task:
        """The task after its plan. Raises SourceDamaged at the door or in the plan."""
        ledger = self.machine.ledger
        wish = TaskRequest("local", "t.csv", chunk_size=chunk_size, delimiter=",", encoding=encoding)
        task_id = (await submit(self.machine, wish)).task.id
        await ledger.enlist(WorkerInfo("w", "here", 1, 0.0, 1))
        [claim] = await ledger.claim("w", 1)
        heartbeat = Heartbeat(60.0)
        heartbeat.renew(asyncio.get_running_loop().time())
        await run_plan(self.machine, Lease(ledger, "w", claim, heartbeat))
        return await ledger.task(task_id)

    async def read(self, chunk_size: int, encoding: str | None) -> tuple[list[Seen], int]:
        """Every record, chunk by chunk, in order of its number; and the blank lines that were counted."""
        task = await self.planned(chunk_size, encoding)
        source, spec = await opened(self.machine, task.id, task.spec)
        seen: list[Seen] = []
        for chunk in await self.machine.ledger.chunks(task.id, limit=10_000):
            rows = await read_chunk(source, spec, chunk.plan)
            places = zip(rows.numbers, rows.lines, rows.starts, rows.ends, rows.rows, strict=True)
            seen += [Seen(*place) for place in places]
            seen += [Seen(n.row, n.line, n.start, n.end, str(n.code)) for n in rows.rejections]
        return sorted(seen, key=lambda record: record.row), task.blank_lines


@dataclass(frozen=True)
class Table:
    """A file: its bytes, and the UTF-8 of it; None where it cannot be unpacked or decoded."""

    data: bytes
    spelling: Spelling
    text: bytes | None


@st.composite
def tables(draw: st.DrawFn) -> Table:
    spelling = draw(st.sampled_from(SPELLINGS))
    body = damaged(spelling.encode(draw(texts)), draw(damages))
    data = spelling.mark + spelling.encode(HEADER) + body
    if not draw(st.booleans()):
        return Table(data, spelling, spelling.decode(data))
    packed = gzip.compress(data, mtime=0)
    if draw(st.integers(0, 3)) == 0:
        packed = packed[:12] + damaged(packed[12:], draw(damages))
    unpacked = unzipped(packed)
    return Table(packed, spelling, None if unpacked is None else spelling.decode(unpacked))


def unzipped(packed: bytes) -> bytes | None:
    """What one whole member holds; None where it is damaged, or is not all there is."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        data = inflate.decompress(packed)
    except zlib.error:
        return None
    return data if inflate.eof and not inflate.unused_data else None


@settings(max_examples=100, deadline=None)
@given(
    tables(),
    st.sampled_from([12, NO_LIMIT]),
    st.sampled_from([40, 256 << 10]),
    st.integers(1, 9),
    st.integers(1, 30),
)
async def test_reading_chunk_by_chunk_from_the_door_on_is_reading_the_whole(
    table: Table, limit: int, beginning: int, block: int, chunk_bytes: int
) -> None:
    """Rows, numbers, lines, places, values and codes are those of the whole, whatever the chunk size."""
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(glimpse, "SAMPLE_BYTES", beginning)
        patch.setattr(spool, "READ_BYTES", block)
        patch.setattr(Source, "block_bytes", block)
        patch.setattr(planner, "FRAME_BYTES", max(1, block // 2))
        patch.setattr(planner, "MAX_CHUNK_BYTES", chunk_bytes)
        folder = Path(name)
        (folder / "t.csv").write_bytes(table.data)
        for size in CHUNK_SIZES:
            way = Way(folder, limit)
            if table.text is None:
                with pytest.raises(SourceDamaged):
                    await way.planned(size, table.spelling.declared)
                continue
            expected = whole(table.text, limit)
            try:
                assert await way.read(size, table.spelling.declared) == expected
            except SourceDamaged as refusal:
                assert any(words in refusal.message for words in LAYOUT), refusal
                assert not all(fits(record) for record in expected[0])


def fits(record: Seen) -> bool:
    """Is it a row, and not the header once more?"""
    return isinstance(record.what, list) and [value.strip("\ufeff ").casefold() for value in record.what] != [
        "a",
        "b",
    ]
