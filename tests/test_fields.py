"""Lines and numbers of fields are those of the csv module, told without its memory."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec import fields
from rowvec.fields import count_fields, lines_of
from rowvec.records import frame
from tests.test_records import nasty


@given(st.text(st.sampled_from('ab,"\n\r\x0b\x0c\x1c\x85\u2028')))
def test_the_lines_of_a_long_text_are_those_of_a_short_one(text: str) -> None:
    """Lines end where the csv module has them end, whatever else Unicode takes for an end of a line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields, "_LONG_TEXT", 0)
        assert list(lines_of(text)) == list(io.StringIO(text, newline=""))


@given(nasty, st.sampled_from([b",", b";", b"|"]))
def test_fields_are_counted_as_the_csv_module_makes_them(data: bytes, delimiter: bytes) -> None:
    """Of every record whose quotes fit."""
    frames = frame(data, True, delimiter, 1 << 20)
    for index, (start, end) in enumerate(zip(frames.starts.tolist(), frames.ends.tolist(), strict=True)):
        if index not in frames.bad:
            text = io.StringIO(data[start:end].decode("latin-1"), newline="")
            [row] = csv.reader(text, delimiter=delimiter.decode(), strict=True)
            assert count_fields(data[start:end], delimiter) == len(row)
