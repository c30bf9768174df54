"""The vector of a text: a pure function of model, dimensions and text, that costs next to nothing.

A vector is put together of four heads of three floats (three floats are exactly 16 characters of base64),
each picked by 16 bits of the text's hash from a palette, and of one of 256 tails picked by 16 bits more.
Palettes and tails have fixed norms, so that every vector has length 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import pybase64
from numpy.typing import NDArray

DIGEST_BYTES = 16
MOST_HEADS = 4
HEAD_FLOATS = 3
HEAD_CHARACTERS = 16
PALETTE = 65_536
TAILS = 256
HEAD_SHARE = 1 / 8
"""Of a vector's length squared, in each head."""

Floats = NDArray[np.float32]


def digest(encoded: bytes) -> bytes:
    """What a text's vector is made from, and what it is known by in the counters."""
    return blake2b(encoded, digest_size=DIGEST_BYTES).digest()


def vector(model: str, dimensions: int, text: str) -> Floats:
    """The vector that the stand-in gives, bit by bit; float32 of shape (dimensions,)."""
    return palette(model, dimensions).vector(digest(text.encode()))


@lru_cache(8)
def palette(model: str, dimensions: int) -> Palette:
    return Palette(model, dimensions)


class Palette:
    """The pieces of one model's vectors, as floats and as base64."""

    def __init__(self, model: str, dimensions: int) -> None:
        seed = blake2b(f"{model}/{dimensions}".encode(), digest_size=8).digest()
        dice = np.random.default_rng(int.from_bytes(seed, "big"))
        self.count = min(MOST_HEADS, (dimensions - 1) // HEAD_FLOATS)
        self._heads = _of_length(dice, (PALETTE, HEAD_FLOATS), HEAD_SHARE)
        rest = dimensions - self.count * HEAD_FLOATS
        self._tails = _of_length(dice, (TAILS, rest), 1 - self.count * HEAD_SHARE)
        self._head_texts = _sliced(pybase64.b64encode(self._heads.tobytes()))
        self._tail_texts = [pybase64.b64encode(tail.tobytes()) for tail in self._tails]

    def vector(self, hashed: bytes) -> Floats:
        *heads, tail = self._picked(hashed)
        return np.concatenate([*(self._heads[pick] for pick in heads), self._tails[tail % TAILS]])

    def encoded(self, hashes: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Each vector in base64 (its float32 little-endian), in two parts."""
        heads, tails, count = self._head_texts, self._tail_texts, self.count
        picks = np.frombuffer(b"".join(hashes), "<u2").reshape(len(hashes), -1)[:, : count + 1].tolist()
        for picked in picks:
            tail = picked.pop()
            yield b"".join([heads[pick] for pick in picked]), tails[tail % TAILS]

    def _picked(self, hashed: bytes) -> list[int]:
        picked: list[int] = np.frombuffer(hashed, "<u2")[: self.count + 1].tolist()
        return picked


def _of_length(dice: np.random.Generator, shape: tuple[int, int], squared: float) -> Floats:
    """Random directions, each row of this length squared."""
    drawn = dice.standard_normal(shape)
    drawn *= np.sqrt(squared) / np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype("<f4")


def _sliced(text: bytes) -> list[bytes]:
    return [text[place : place + HEAD_CHARACTERS] for place in range(0, len(text), HEAD_CHARACTERS)]
