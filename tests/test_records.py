"""Framing: the fast scan, the exact scan and any mixture of blocks agree with a slow reading of the rules."""

import csv
import io
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowvec import records
from rowvec.exact import ExactScan
from rowvec.fields import parse
from rowvec.records import Fault, Framer, frame, line_ends

NO_LIMIT = 1 << 20
nasty = st.lists(
    st.sampled_from(
        [b"a", b",", b'"', b"\n", b"\r", b"\r\n", b"\xff", b"\0", b";", b'",', b'","', b',"', b'"\n']
    ),
    max_size=40,
).map(b"".join)


@dataclass
class Slow:
    """The rules once more, one byte at a time and with no thought of speed."""

    data: bytes
    delimiter: int
    limit: int
    found: list[tuple[int, int, int, Fault | None]] = field(default_factory=list)
    blank: int = 0

    def run(self) -> "Slow":
        position, line = 0, 1
        while position < len(self.data):
            content_end, fault = self.record(position)
            end = self.skip_line_end(content_end)
            if content_end == position:
                self.blank += 1
            else:
                self.found.append((position, end, line, fault))
            line += (
                len(self.data[position:end].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")) - 1
            )
            position = end
        return self

    def record(self, start: int) -> tuple[int, Fault | None]:
        state, at = self.automaton(start)
        if state == "ended":
            return at, None
        content_end = self.line_end(at if state == "loose" else start)
        if content_end - start > self.limit:
            return content_end, Fault.TOO_LONG
        text_after = state == "fault" and at < content_end
        return content_end, Fault.TEXT_AFTER if text_after else Fault.UNCLOSED

    def automaton(self, start: int) -> tuple[str, int]:
        state, at = "field", start
        while True:
            if at - start > self.limit:
                return ("open" if state == "quoted" else "loose"), at
            if at == len(self.data):
                return ("open" if state == "quoted" else "ended"), at
            byte = self.data[at]
            if state == "quoted":
                state = "closing" if byte == ord('"') else "quoted"
            elif state == "closing" and byte == ord('"'):
                state = "quoted"
            elif byte in b"\r\n":
                return "ended", at
            elif byte == self.delimiter:
                state = "field"
            elif state == "closing":
                return "fault", at
            else:
                state = "quoted" if state == "field" and byte == ord('"') else "plain"
            at += 1

    def line_end(self, at: int) -> int:
        while at < len(self.data) and self.data[at] not in b"\r\n":
            at += 1
        return at

    def skip_line_end(self, at: int) -> int:
        return at + 2 if self.data[at : at + 2] == b"\r\n" else min(at + 1, len(self.data))


Listed = tuple[int, int, int, Fault | None]


def listed(frames: records.Frames, first: int = 0) -> list[Listed]:
    columns = (frames.starts.tolist(), frames.ends.tolist(), frames.lines.tolist())
    return [(*row, frames.bad.get(index)) for index, row in enumerate(zip(*columns, strict=True))]


def in_blocks(data: bytes, sizes: list[int], delimiter: bytes, limit: int) -> tuple[list[Listed], int]:
    found: list[Listed] = []
    framer, blank, position, turn = Framer(delimiter, limit), 0, 0, 0
    while position < len(data):
        size = sizes[turn % len(sizes)]
        frames = framer.feed(data[position : position + size], position + size >= len(data))
        found += listed(frames)
        blank += frames.blank_lines
        position, turn = position + size, turn + 1
    return found, blank


@settings(max_examples=800, deadline=None)
@given(nasty, st.sampled_from([b",", b";", b"\t"]), st.sampled_from([1, 2, 3, 5, 8, 13, NO_LIMIT]))
def test_frames_are_those_of_the_rules(data: bytes, delimiter: bytes, limit: int) -> None:
    """Whatever the bytes, records, lines, faults and blank lines are those of the slow reading."""
    slow = Slow(data, delimiter[0], limit).run()
    frames = frame(data, True, delimiter, limit)
    assert (listed(frames), frames.blank_lines) == (slow.found, slow.blank)


@settings(max_examples=800, deadline=None)
@given(
    nasty,
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sampled_from([1, 2, 3, 5, 8, 13, NO_LIMIT]),
    st.integers(1, 12),
)
def test_blocks_and_windows_do_not_matter(data: bytes, sizes: list[int], limit: int, window: int) -> None:
    """Any cutting into blocks, and any size of the fast scan's window, gives what the whole gives."""
    slow = Slow(data, ord(","), limit).run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_LARGE_WINDOW", window)
        patch.setattr(records, "_SMALL_WINDOW", min(window, 3))
        patch.setattr(records, "_SHORT_STRETCH", 1)
        assert in_blocks(data, sizes, b",", limit) == (slow.found, slow.blank)


@settings(max_examples=400, deadline=None)
@given(nasty, st.sampled_from([1, 3, 8, NO_LIMIT]), st.data())
def test_a_run_of_records_read_alone_is_the_same(data: bytes, limit: int, choice: st.DataObject) -> None:
    """Records, faults and lines of any run of records, cut out and read alone, are those of the whole."""
    whole = listed(frame(data, True, b",", limit))
    first = choice.draw(st.integers(0, len(whole)))
    last = choice.draw(st.integers(first, len(whole)))
    if first < last:
        start, line, end = whole[first][0], whole[first][2], whole[last - 1][1]
        alone = frame(data[start:end], True, b",", limit, start, line)
        assert listed(alone) == whole[first:last]


@settings(max_examples=300, deadline=None)
@given(nasty, st.sampled_from([2, 8, NO_LIMIT]))
def test_what_is_undecided_is_left_out(data: bytes, limit: int) -> None:
    """Without `final`, only records come out that no further byte could change."""
    whole = listed(frame(data + b"a", True, b",", limit))
    decided = listed(frame(data, False, b",", limit))
    assert decided == whole[: len(decided)]


@given(st.text("ab\r\n").map(str.encode))
def test_line_ends_are_counted_once(data: bytes) -> None:
    """`\\r\\n` is one line end, `\\r` and `\\n` alone are one each."""
    assert line_ends(data, 0, len(data)) == len(data.decode().splitlines(keepends=True)) - bool(
        data and data[-1:] not in b"\r\n"
    )


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_lost_quote_costs_one_line(ending: bytes) -> None:
    """An unclosed quote in a long file rejects its own line; every other line is a record."""
    rows = [b"%d,plain" % number for number in range(5000)]
    rows[1234] = b'1234,"lost'
    frames = frame(ending.join(rows) + ending, True, b",", 1 << 16)
    assert (len(frames), frames.bad) == (5000, {1234: Fault.UNCLOSED})


def test_quoted_newlines_over_many_windows() -> None:
    """Two megabytes with quoted line feeds and doubled quotes give every record, and its line."""
    row = b'7,"first\nsecond ""word"" here",' + b"x" * 90 + b"\n"
    frames = frame(row * 16000, True, b",", NO_LIMIT)
    assert (np.diff(frames.starts) == len(row)).all() and (np.diff(frames.lines) == 2).all()
    assert (len(frames), frames.bad, int(frames.ends[-1])) == (16000, {}, 16000 * len(row))


def test_a_huge_line_needs_no_memory() -> None:
    """A line 50 times the limit is one bad record of its full size, and the framer keeps none of it."""
    framer = Framer(b",", 1 << 16)
    assert len(framer.feed(b"a,b\n", False)) == 1
    held = []
    for _ in range(50):
        assert len(framer.feed(b"x" * (1 << 16), False)) == 0
        held.append(len(framer._buffer))
    frames = framer.feed(b"\nc,d\n", True)
    assert listed(frames) == [
        (4, 5 + 50 * (1 << 16), 2, Fault.TOO_LONG),
        (5 + 50 * (1 << 16), 9 + 50 * (1 << 16), 3, None),
    ]
    assert max(held) <= 2 << 16


class Counting:
    """Counts the bytes the exact scan walks inside quotes."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.walked = 0
        real = ExactScan._walk

        def walk(scan: ExactScan, data: bytes, at: int, stop: int) -> object:
            state, after = real(scan, data, at, stop)
            self.walked += after - at
            return state, after

        patch.setattr(ExactScan, "_walk", walk)


@pytest.mark.parametrize("ending", [b"", b'"x\n'], ids=["open to the end", "text after the quote at the end"])
@pytest.mark.parametrize("limit", [1 << 14, NO_LIMIT])
def test_broken_files_stay_linear(monkeypatch: pytest.MonkeyPatch, ending: bytes, limit: int) -> None:
    """Where every line seems to open a quote that stays open, no byte is walked more than a few times."""
    counting = Counting(monkeypatch)
    data = b'a","\n' * 20000 + ending
    frames = frame(data, True, b",", limit)
    assert len(frames.bad) >= 19990
    assert counting.walked < 4 * len(data)


def by_the_csv_module(text: str, delimiter: str) -> object:
    """Its rows, or that it refuses."""
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return "refused"


def by_ours(text: str, delimiter: str) -> object:
    try:
        return list(parse(text, delimiter, 1 << 20))
    except csv.Error:
        return "refused"


@given(
    st.text(st.sampled_from(list('ab ,;\t""\r\n\x0b\x85\u2028é😀')), max_size=60),
    st.sampled_from([",", ";", "\t", "|", " "]),
)
def test_values_are_those_of_the_csv_module(text: str, delimiter: str) -> None:
    """Though it is asked for lines with quotes only."""
    assert by_ours(text, delimiter) == by_the_csv_module(text, delimiter)


def test_a_field_without_quotes_is_too_long_where_it_is_with_them() -> None:
    most = csv.field_size_limit()
    for value in ("x" * most, f'"{"x" * most}"'):
        assert list(parse(value, ",", 1)) == [["x" * most]]
    for value in ("x" * (most + 1), f'"{"x" * (most + 1)}"'):
        with pytest.raises(csv.Error, match="field larger"):
            list(parse(value, ",", 1))
