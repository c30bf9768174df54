"""One table under one header: what is certainly not is refused with its line, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rowvec.errors import SourceDamaged
from rowvec.header import read_header
from rowvec.layout import check_layout, without_headers
from rowvec.model import PlannedChunk
from rowvec.reader import ChunkRows, read_rows
from rowvec.records import frame
from tests.test_planner import spec_of

MOST = 10_000


def check(data: bytes) -> ChunkRows:
    """The rows of a whole table that is small, once its layout was looked at."""
    header = read_header(data, True, ",", MOST)
    start, body = header.data_start, data[header.data_start :]
    frames = frame(body, True, b",", MOST, start, header.data_line)
    plan = PlannedChunk(0, start, len(data), 1, header.data_line, len(frames))
    rows = read_rows(body, plan, spec_of(data, header=header.columns))
    check_layout(header, frames, rows)
    return rows


REFUSED = [
    (b"Report of May\na,b\n1,2\n3,4\n", "header has 1 columns.*from line 2 on all have 2"),
    (b"Report\nof,the,May\n\na,b\n1,2\n3,4\n", "from line 4 on all have 2"),
    (b"a,b\n1,2\n1\n2\n3\n", "header has 2 columns.*from line 3 on all have 1"),
    (b"a,b\n1,2,\n3,4,\n5,6,\n", "header has 2 columns.*from line 2 on all have 3"),
    (b"a,b\n1,2,\n3,\0,\n5,\xff,\n", "header has 2 columns.*from line 2 on all have 3"),
    (b"a,b\n1,2\n3,4\n5,6\n\nc,d,e\n1,2,3\n4,5,6\n", "Another table begins on line 6"),
    (b"a,b\n1,2\n3,4\n5,6\n\nc,d,e\n1,2,3\n4,5,6\n\n7,8\n", "Another table begins on line 6"),
    (b"a,b\n" + b"1,2\n" * 99 + b"1,2,3\n" * 100, "header has 2 columns.*from line 101 on all have 3"),
    (b"a,b\n" + b"1,2\n" * 99 + b"\nx,y,z\n1,2,3\n4,5,6\n", "Another table begins on line 102"),
    (b"a,b\n" + b"1,2\n" * 98 + b"a,b\n" + b"1,2\n" * 99, "Line 100 is the header once more"),
    (b"a,b\n\na,b\n1,2\n", "Line 3 is the header once more"),
    (b'a,b\n1,2\n"a"," B "\n', "Line 3 is the header once more"),
]


@pytest.mark.parametrize(("data", "words"), REFUSED)
def test_what_is_certainly_not_one_table_is_refused_with_its_line(data: bytes, words: str) -> None:
    """Preambles, records that all have another width, second tables and second headers."""
    with pytest.raises(SourceDamaged, match=words):
        check(data)


GOOD = b"a,b\n" + b"1,2\n" * 99
"""One row short of the proof that the header is one."""

ROWS = [
    (GOOD + b"1,2\n" + b"1,2,3\n" * 1000, "the writer added a column"),
    (GOOD + b"1,2\n\nx,y,z\n1,2,3\n4,5,6\n", "a summary below the table"),
    (GOOD + b"1,2\na,b\n3,4\n", "files that were put one behind the other"),
    (b"a,b\n1\n2\n3\n" + b"1,2\n" * 1000, "a good table with a bad beginning"),
    (b"a,b\n1\n2\n", "two records are no evidence"),
    (b"a,b\n1\n2,3\n4\n5\n", "most are ragged, but not to the last"),
    (b"a,b\n1,2\n3,4\n5,6\n7\n8\n9\n", "as many fit as do not"),
    (b"a,b\n1,2\n3,4\n5,6\n7,8\n\nTotal\nof\nall\n", "a footer of prose"),
    (b"a,b\n1,2\n3,4\n5,6\n\n1,2,3\n4,5,6\n", "two wide records after a blank line"),
    (b"a,b\n1,2\n3,4\n5,6\n\n1,2,3\n4,5,6\n7,8,9,10\n", "widths that differ are no table"),
    (b"a\nb\na\n", "a single name may be a value"),
    (b"a,b\na,a\nb,b\nb,a\n", "names in other places"),
    (b"a,b\n", "no rows"),
    (b"", "no header"),
]


@pytest.mark.parametrize(("data", "why"), ROWS)
def test_what_may_be_rows_is_left_to_be_judged_row_by_row(data: bytes, why: str) -> None:
    """Nothing is refused at the door that might be rows."""
    check(data)


def test_the_odd_rows_of_a_good_table_are_rejected_with_words() -> None:
    """A thousand good rows are taken; of the wider ones below them each is told why it is not."""
    rows = check(b"a,b\n" + b"1,2\n" * 1000 + b"1,2,3\n" * 1500)
    assert (len(rows.rows), len(rows.rejections)) == (1000, 1500)
    assert {note.reason for note in rows.rejections} == {
        "2 fields are expected, as in the header; 3 were found"
    }


cells = st.text(st.sampled_from('ab,"\n é'), max_size=4)


@given(st.lists(st.tuples(cells, cells), max_size=8), st.lists(st.integers(0, 8), max_size=3))
def test_rows_of_the_headers_width_are_never_refused(rows: list[tuple[str, str]], blank: list[int]) -> None:
    """Whatever they hold and wherever blank lines stand, unless one of them is the header."""
    assume(not any([value.strip().casefold() for value in row] == ["a", "b"] for row in rows))
    lines = [",".join('"' + value.replace('"', '""') + '"' for value in row) + "\n" for row in rows]
    for place in sorted(blank, reverse=True):
        lines.insert(min(place, len(lines)), "\n")
    assert len(check(("a,b\n" + "".join(lines)).encode()).rows) == len(rows)


def test_a_header_that_comes_later_is_rejected_as_a_row() -> None:
    """With its number, line and content; its neighbours stay what they are, rejected ones too."""
    data = b'1,2\n\n A,"b"\nshort\n3,4\n'
    rows = read_rows(data, PlannedChunk(0, 0, len(data), 1, 1, 4), spec_of(data))
    left = without_headers(("a", "b"), rows)
    assert (left.rows, list(left.numbers), list(left.lines)) == ([["1", "2"], ["3", "4"]], [1, 4], [1, 5])
    assert sorted((note.row, note.line, note.code, note.content) for note in left.rejections) == [
        (2, 3, "repeated-header", ' A,"b"'),
        (3, 4, "too-few-fields", "short"),
    ]
    assert left.read == rows.read == 4
    assert without_headers(("a", "c"), rows) is rows
