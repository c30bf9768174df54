"""Tokens are counted exactly where the table is at hand, and never fetched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.embedders.openai import tokens
from rowvec.embedders.openai.tokens import Ratio, byte_counts, exact_counter

TIKTOKEN = """
import os
from pathlib import Path

def get_encoding(name):
    assert name == "cl100k_base"
    assert (Path(os.environ["TIKTOKEN_CACHE_DIR"]) / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4").is_file()
    return Encoding()

class Encoding:
    def encode_ordinary_batch(self, texts, num_threads):
        return [text.split() for text in texts]
"""
"""Its interface, as far as it is used: the package itself needs a table that can only be downloaded."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, and an installed tiktoken."""
    (tmp_path / "tiktoken.py").write_text(TIKTOKEN)
    (tmp_path / tokens.TABLE).write_bytes(b"a table")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "elsewhere")
    monkeypatch.setattr(tokens, "TABLE_SHA256", hashlib.sha256(b"a table").hexdigest())
    return tmp_path


def test_the_table_is_used_where_it_is(folder: Path) -> None:
    """With the folder that the settings name, whatever the environment says."""
    count = exact_counter(str(folder))
    assert count is not None
    assert count(["one two three", "one"]) == [3, 1]


def test_without_a_table_nothing_is_fetched(folder: Path) -> None:
    """No folder, no table in it, or a damaged one, which tiktoken would replace by a download."""
    assert exact_counter("") is None
    assert exact_counter(str(folder / "nowhere")) is None
    (folder / tokens.TABLE).write_bytes(b"half a tab")
    assert exact_counter(str(folder)) is None


@given(st.text())
def test_bytes_bound_tokens(text: str) -> None:
    """The bound is the length in UTF-8."""
    assert byte_counts([text]) == [len(text.encode())]


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0.1, 1.0)), min_size=1, max_size=50))
def test_the_ratio_stays_between_what_it_has_seen(bills: list[tuple[int, float]]) -> None:
    """Never above the highest, never below the lowest; one token at least."""
    ratio = Ratio()
    for size, share in bills:
        ratio.learn(size, round(size * share))
    shares = [0.4, *(round(size * share) / size for size, share in bills)]
    (estimate,) = ratio.estimate(["a" * 100_000])
    assert min(shares) * 100_000 - 1 <= estimate <= max(shares) * 100_000 + 1
    assert ratio.estimate(["a"]) == [1]
