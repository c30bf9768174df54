"""How many rows a chunk has, where the caller does not say."""

from __future__ import annotations

CHUNKS = 125
"""A table whose rows are paid for has so many chunks at least: a worker holds two at a time, and what it
holds when it is killed is paid again. Two of them are 1.6 % of the rows; the rest is for a wrong guess."""
FEWEST = 50
"""Rows of a chunk: less would cost more in work than is ever paid again."""


def default_chunk_size(most: int, rows: int | None, price: float) -> int:
    """`most`, or less of a small table. `rows` is a guess, None without one; `price` that of a token."""
    if not price or rows is None:
        return most
    return min(most, max(FEWEST, rows // CHUNKS))
