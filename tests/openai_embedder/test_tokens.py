"""Tokens are counted exactly where the table is at hand, and never fetched."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rowvec.embedders.openai import tokens
from rowvec.embedders.openai.tokens import Ratio, byte_counts, exact_counter
from standins.openai import tokens as billed


def test_the_table_is_used_where_it_is(tiktoken_folder: Path) -> None:
    """With the folder that the settings name, whatever the environment says."""
    count = exact_counter(str(tiktoken_folder))
    assert count is not None
    texts = ["one two three", "one", "日本語"]
    assert count(texts) == [billed(text) for text in texts] == [4, 1, 4]


def test_without_a_table_nothing_is_fetched(tiktoken_folder: Path) -> None:
    """No folder, no table in it, or a damaged one, which tiktoken would replace by a download."""
    assert exact_counter("") is None
    assert exact_counter(str(tiktoken_folder / "nowhere")) is None
    (tiktoken_folder / tokens.TABLE).write_bytes(b"half a tab")
    assert exact_counter(str(tiktoken_folder)) is None


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
