"""A worker that is killed loses two chunks. Of what is paid for, that is little, however small the table."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.chunk_size import default_chunk_size
from rowvec.intake import TaskRequest, prepare_spec
from tests.worker_kit import Workshop

pytestmark = pytest.mark.anyio


@given(rows=st.integers(5_500, 10**9), wrong=st.floats(0.85, 1.15))
def test_two_chunks_are_two_percent_at_most(rows: int, wrong: float) -> None:
    """Also where the guess at the rows is wrong."""
    assert 2 * default_chunk_size(1000, round(rows * wrong), price=0.02) <= 0.02 * rows


@given(rows=st.none() | st.integers(0, 10**9), most=st.integers(1, 100_000))
def test_what_costs_nothing_is_cut_as_large_as_may_be(rows: int | None, most: int) -> None:
    assert default_chunk_size(most, rows, price=0.0) == most


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    shop = Workshop(tmp_path)
    monkeypatch.setattr(shop.embedder, "price", 0.02, raising=False)
    shop.machine = replace(shop.machine, limits=replace(shop.machine.limits, chunk_size=1000))
    return shop


async def chunk_size(shop: Workshop, name: str = "rows.csv", asked: int | None = None) -> int:
    wish = TaskRequest("local", name, id_column="id", text_columns=["text"], chunk_size=asked)
    return (await prepare_spec(shop.machine, wish)).chunk_size


async def test_a_small_table_is_cut_smaller_by_what_its_beginning_tells(shop: Workshop) -> None:
    shop.write(f"text {number:06d} and words to the end" for number in range(20_000))
    assert 150 <= await chunk_size(shop) <= 170
    shop.write(["one"] * 10)
    assert await chunk_size(shop) == 50


async def test_who_asks_for_a_size_gets_it(shop: Workshop) -> None:
    shop.write(["one"] * 10)
    assert await chunk_size(shop, asked=700) == 700


async def test_a_table_whose_size_says_nothing_is_cut_as_large_as_may_be(
    shop: Workshop, tmp_path: Path
) -> None:
    shop.write(["one"] * 10)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    assert await chunk_size(shop, "rows.csv.gz") == 1000
