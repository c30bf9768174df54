"""A granted wish → the body of its answer, and the forms in which it goes wrong."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
import pybase64

from standins.openai.vectors import Floats, Palette, palette
from standins.openai.wish import Wish

Parts = list[bytes]


def body(wish: Wish, fault: str | None) -> Parts:
    """OpenAI's `list` of `embedding` objects with its usage; `fault` spoils it in one place."""
    if fault == "no-json":
        return [b"<html><body>upstream connect error</body></html>"]
    pieces = palette(wish.model, wish.dimensions)
    parts = [b'{"object":"list","data":[']
    if wish.base64 and fault is None and not wish.spoilt:
        parts += _base64(pieces, wish.hashes)
    else:
        parts += _spoiled(wish, pieces, fault)
    parts.append(
        b'],"model":"%s","usage":{"prompt_tokens":%d,"total_tokens":%d}}'
        % (wish.model.encode(), wish.tokens, wish.tokens)
    )
    return parts


def _base64(pieces: Palette, hashes: list[bytes]) -> Parts:
    """The way that must be fast."""
    parts: Parts = []
    for start, (head, tail) in zip(_starts(len(hashes)), pieces.encoded(hashes), strict=True):
        parts += (start, head, tail)
    parts.append(b'"}')
    return parts


@lru_cache(64)
def _starts(count: int) -> Parts:
    """What stands before each vector: the end of the one before it, and its index."""
    opened = b'{"object":"embedding","index":%d,"embedding":"'
    return [(b'"},' if index else b"") + opened % index for index in range(count)]


def _spoiled(wish: Wish, pieces: Palette, fault: str | None) -> Parts:
    """Item by item: lists of floats, and everything that is wrong on purpose."""
    indexes = list(range(len(wish.hashes)))
    vectors = [pieces.vector(hashed) for hashed in wish.hashes]
    if fault == "short-count":
        indexes.pop()
        vectors.pop()
    elif fault == "wrong-index":
        indexes[-1] = 0 if len(indexes) > 1 else 1
    elif fault is not None:
        vectors[-1] = _wrong(vectors[-1], fault)
    for place, way in wish.spoilt.items():
        if place < len(vectors):
            vectors[place] = _wrong(vectors[place], way)
    return [
        b",".join(_item(index, vector, wish.base64) for index, vector in zip(indexes, vectors, strict=True))
    ]


def _wrong(vector: Floats, way: str) -> Floats:
    if way == "wrong-dimension":
        return vector[:-1]
    wrong = vector.copy()
    if way == "nan":
        wrong[0] = np.nan
    elif way == "zero":
        wrong[:] = 0.0
    return wrong


def _item(index: int, vector: Floats, base64: bool) -> bytes:
    shown = b'"%s"' % pybase64.b64encode(vector.tobytes()) if base64 else msgspec.json.encode(vector.tolist())
    return b'{"object":"embedding","index":%d,"embedding":%s}' % (index, shown)
