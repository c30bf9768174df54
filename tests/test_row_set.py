"""A set of row numbers: a bit a row, in a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.row_set import RowSet, row_sets

NUMBERS = st.lists(st.integers(0, 1_000))


@given(NUMBERS, NUMBERS, st.lists(st.integers(-5, 2**62)))
def test_it_holds_what_was_added(first: list[int], second: list[int], others: list[int]) -> None:
    """Whatever was added in whichever portions, and nothing else; what is beyond it is not in it."""
    with row_sets(1_000) as (numbers, untouched):
        numbers.add(first)
        numbers.add(second)
        asked = [*range(1_001), *others]

        assert numbers.has(asked).tolist() == [number in {*first, *second} for number in asked]
        assert not untouched.has(asked).any()


def test_what_does_not_fit_is_no_silent_loss(tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        RowSet(tmp_path / "set", 80).add([1_000])


def test_ten_million_rows_take_little_room(tmp_path: Path) -> None:
    RowSet(tmp_path / "set", 10_000_000).add([10_000_000])

    assert (tmp_path / "set").stat().st_size < 1_300_000
