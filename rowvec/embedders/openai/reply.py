"""The body of an answer → vectors, checked: as many as texts, in their order, whole, finite, not zero."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import pybase64

from rowvec.errors import OtherDimension, Unavailable, Unusable
from rowvec.vectors import Floats


class _Item(msgspec.Struct):
    """Servers that do not know base64 send a list of numbers, which is slow but right."""

    index: int
    embedding: str | list[float]


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Reply(msgspec.Struct):
    data: list[_Item]
    usage: _Usage | None = None


_DECODER = msgspec.json.Decoder(_Reply)


class _Wrong(ValueError):
    """The reply is not what was asked for; the message says in what."""


class _Missized(_Wrong):
    """All its vectors have one and the same, and another dimension."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Float32 `vectors` of shape (texts, dimension), and the tokens billed; None where it does not say."""

    vectors: Floats
    tokens: int | None


def read(body: bytes, count: int, dimension: int, who: str) -> Reply:
    """Raises Unavailable when the body is cut, Unusable when it holds no vectors of `count` texts."""
    try:
        reply = _DECODER.decode(body)
        vectors = _vectors(reply.data, count, dimension)
        _check(vectors)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = Unusable if body.rstrip().endswith(b"}") else Unavailable
        raise kind(f"The answer of {who} is cut short or no embeddings: {error}.") from error
    except _Missized as error:
        raise OtherDimension(f"The answer of {who} is wrong: {error}") from error
    except _Wrong as error:
        raise Unusable(f"The answer of {who} is wrong: {error}.") from error
    return Reply(vectors, reply.usage.prompt_tokens or None if reply.usage else None)


def _vectors(items: list[_Item], count: int, dimension: int) -> Floats:
    """Every vector in the row that its index names, straight from its base64."""
    if len(items) != count:
        raise _Wrong(f"it has {len(items)} vectors for {count} texts")
    vectors = np.empty((count, dimension), "<f4")
    rows = vectors.data.cast("B")
    width = 4 * dimension
    missing = bytearray(b"\1" * count)
    for item in items:
        place = item.index
        if not (0 <= place < count and missing[place]):
            raise _Wrong(f"its index {place} is doubled or out of range")
        missing[place] = 0
        floats = _floats(item.embedding)
        if len(floats) != width:
            _check_sizes(items, dimension)
            raise _Wrong(f"its vector {place} has {len(floats) / 4:g} dimensions, not {dimension}")
        rows[place * width : (place + 1) * width] = floats
    return vectors


def _check_sizes(items: list[_Item], dimension: int) -> None:
    """Raises _Missized where they agree in another dimension."""
    sizes = {len(_floats(item.embedding)) for item in items}
    if len(sizes) == 1 and not (size := sizes.pop()) % 4:
        found = size // 4
        raise _Missized(
            f"its vectors have {found} dimensions, not {dimension}. If that is what the model gives, set "
            f"OPENAI_DIMENSIONS={found} and submit the table again, into another namespace."
        )


def _floats(embedding: str | list[float]) -> bytes:
    if isinstance(embedding, list):
        return np.array(embedding, "<f4").tobytes()
    try:
        return pybase64.b64decode(embedding, validate=True)
    except ValueError as error:
        raise _Wrong(f"it holds what is no base64 ({error})") from error


def _check(vectors: Floats) -> None:
    squares = np.einsum("ij,ij->i", vectors, vectors)
    wrong = np.flatnonzero(~(np.isfinite(squares) & (squares > 0)))
    if wrong.size:
        raise _Wrong(f"its vector {wrong[0]} is zero or not finite")
