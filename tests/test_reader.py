"""Reading: every record of a chunk is a row with its values or a rejection with its reason."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowvec import reader
from rowvec.errors import SourceChanged
from rowvec.model import PlannedChunk, Totals
from rowvec.planner import plan
from rowvec.reader import ChunkRows, read_chunk, read_rows
from rowvec.records import Fault, frame
from rowvec.spec import Dialect, TaskSpec
from tests.test_planner import Bytes, spec_of
from tests.test_records import nasty

pytestmark = pytest.mark.anyio


def read(data: bytes, spec: TaskSpec | None = None) -> ChunkRows:
    spec = spec or spec_of(data)
    frames = frame(data, True, spec.dialect.delimiter.encode(), spec.max_record_bytes)
    return read_rows(data, PlannedChunk(0, 0, len(data), 1, 1, len(frames)), spec)


async def test_rows_and_their_places() -> None:
    """Values, numbers, lines and byte ranges of rows around a blank line and a quoted line end."""
    rows = read(b'1,"x\ny ""z"""\r\n\n2,\xc3\xa9\n')
    assert rows.rows == [["1", 'x\ny "z"'], ["2", "é"]]
    assert (list(rows.numbers), list(rows.lines)) == ([1, 2], [1, 4])
    assert (list(rows.starts), list(rows.ends)) == ([0, 16], [15, 21])
    assert rows.rejections == [] and rows.read == 2


REJECTED = [
    (b"caf\xe9,2\n", "not-utf8", "byte 13 of the source (0xe9)"),
    (b"\xed\xa0\x80,2\n", "not-utf8", "byte 10 of the source (0xed)"),
    (b"a\0,2\n", "nul-byte", "byte 11 of the source"),
    (b'"x"y,2\n', "text-after-quote", "text follows a closing quote"),
    (b'"x,2\n', "unclosed-quote", "a quote opens"),
    (b"1\n", "too-few-fields", "2 fields are expected, as in the header; 1 were found"),
    (b"1,2,3\n", "too-many-fields", "2 fields are expected, as in the header; 3 were found"),
    (b"y" * 200 + b"\n", "record-too-long", "201 bytes, more than the 100"),
]


@pytest.mark.parametrize(("record", "code", "words"), REJECTED, ids=[code for _, code, _ in REJECTED])
async def test_what_is_no_row_is_rejected_with_its_reason(record: bytes, code: str, words: str) -> None:
    """A bad record is rejected with code, words, place and content; its neighbours are rows."""
    data = b"1,2\n\n3,4\n\n" + record + b"5,6\n"
    rows = read(data, spec_of(data, max_record_bytes=100))
    assert rows.rows == [["1", "2"], ["3", "4"], ["5", "6"]]
    assert (list(rows.numbers), list(rows.lines)) == ([1, 2, 4], [1, 3, 6])
    [rejection] = rows.rejections
    assert (rejection.outcome, rejection.row, rejection.line, rejection.code) == ("rejected", 3, 5, code)
    assert (rejection.start, rejection.end) == (10, 10 + len(record))
    assert words in rejection.reason
    assert rejection.content == record.rstrip(b"\n").decode("utf-8", "backslashreplace")


async def test_content_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a rejected record is cut at the set size."""
    monkeypatch.setattr(reader, "CONTENT_BYTES", 5)
    assert read(b"123456789\n").rejections[0].content == "12345"


async def test_a_rejection_made_later_knows_its_record() -> None:
    """What is refused after reading is recorded with number, line, range and content of its row."""
    rows = read(b'bad\n1,"2\n3"\n')
    later = rows.rejection(0, "duplicate", "doubled-id", "why")
    assert (later.outcome, later.row, later.line, later.start, later.end) == ("duplicate", 2, 2, 4, 12)
    assert (later.code, later.reason, later.content) == ("doubled-id", "why", '1,"2\n3"')


async def test_another_number_of_rows_means_another_source() -> None:
    """A chunk whose bytes hold other than the planned rows fails the task."""
    with pytest.raises(SourceChanged, match="holds 2 rows where 3 were counted"):
        read_rows(b"1,2\n3,4\n", PlannedChunk(0, 0, 8, 1, 1, 3), spec_of(b"1,2\n3,4\n"))


async def test_fields_longer_than_the_csv_module_likes() -> None:
    """A field of 300 kB is a value like any other."""
    assert len(read(b'1,"' + b"x" * 300_000 + b'"\n').rows[0][1]) == 300_000


@pytest.mark.parametrize("record", [b"1,2,3", b"1", b'"1,1",2', b'"1,1","2,2"', b'"1,1",2,"3"', b"1,2"])
async def test_where_there_are_many_fields_they_are_counted_first(
    monkeypatch: pytest.MonkeyPatch, record: bytes
) -> None:
    """What comes of a record is the same, whether its fields were made or counted."""
    data = b"1,2\n" + record + b"\n3,4\n"
    made = read(data)
    monkeypatch.setattr(reader, "_MANY_FIELDS", 0)
    counted = read(data)
    assert (counted.rows, counted.rejections) == (made.rows, made.rejections)


async def test_an_oversized_record_is_not_read_whole() -> None:
    """Of a record beyond the limit only its first 64 KiB are read, and its whole size is told."""
    data = b"x" * 1_000_000 + b"\n"
    source, spec = Bytes(data), spec_of(data, max_record_bytes=70_000)
    rows = await read_chunk(source, spec, PlannedChunk(4, 0, len(data), 9, 12, 1))
    assert source.read_ranges == [(0, 64 << 10)]
    [rejection] = rows.rejections
    assert (rows.read, rejection.code, rejection.row, rejection.line) == (1, "record-too-long", 9, 12)
    assert "1000001 bytes" in rejection.reason and len(rejection.content) == 64 << 10


def expected(data: bytes, limit: int) -> list[list[str] | str]:
    """Each record alone, by the csv module: its values, or `bad`."""
    frames = frame(data, True, b",", limit)
    found: list[list[str] | str] = []
    for index, (start, end) in enumerate(zip(frames.starts.tolist(), frames.ends.tolist(), strict=True)):
        record = data[start:end]
        if index in frames.bad or b"\0" in record or b"\xff" in record:
            found.append("bad")
            continue
        [row] = csv.reader(io.StringIO(record.decode(), newline=""), strict=True)
        found.append(row if len(row) == 2 else "bad")
    return found


@settings(max_examples=250, deadline=None)
@given(nasty, st.integers(1, 5), st.sampled_from([6, 1 << 20]))
async def test_chunk_by_chunk_is_record_by_record(data: bytes, chunk_size: int, limit: int) -> None:
    """Planned and read chunk by chunk, any bytes give what each record gives alone, and none is lost."""
    source, spec = Bytes(data), spec_of(data, chunk_size=chunk_size, max_record_bytes=limit)
    found: dict[int, list[str] | str] = {}
    async for item in plan(source, spec):
        if isinstance(item, Totals):
            assert sorted(found) == list(range(1, item.rows + 1))
            break
        rows = await read_chunk(source, spec, item)
        assert rows.read == item.rows
        found |= dict(zip(rows.numbers, rows.rows, strict=True)) | {r.row: "bad" for r in rows.rejections}
    assert [found[number] for number in sorted(found)] == expected(data, limit)


async def test_faults_have_the_names_of_their_codes() -> None:
    """The codes of framing faults are the promised ones."""
    assert {fault.value for fault in Fault} == {"unclosed-quote", "text-after-quote", "record-too-long"}


async def test_another_delimiter() -> None:
    """Rows are split at the task's delimiter only."""
    data = b"1,5;2\n"
    spec = replace(spec_of(data), dialect=Dialect(";"))
    assert read(data, spec).rows == [["1,5", "2"]]
