"""The body of an answer → vectors, checked: as many as texts, in their order, whole, finite, not zero."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import ne

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


_Encoded = memoryview | str | list[float]
_DECODER = msgspec.json.Decoder(_Reply)
_OPENED = re.compile(rb'"embedding":\s*"')


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
        reply, encoded = _decoded(body)
        vectors = _vectors([item.index for item in reply.data], encoded, count, dimension)
        _check(vectors)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        kind = Unusable if body.rstrip().endswith(b"}") else Unavailable
        raise kind(f"The answer of {who} is cut short or no embeddings: {error}.") from error
    except _Missized as error:
        raise OtherDimension(f"The answer of {who} is wrong: {error}") from error
    except _Wrong as error:
        raise Unusable(f"The answer of {who} is wrong: {error}.") from error
    return Reply(vectors, reply.usage.prompt_tokens or None if reply.usage else None)


def _decoded(body: bytes) -> tuple[_Reply, Sequence[_Encoded]]:
    """The reply, and the embedding of each item; base64 is kept from the parser, which would copy it.

    Where it cannot be told what belongs to what, the parser sees all.
    """
    rest, cut = _without_base64(body)
    reply = _DECODER.decode(rest)
    if len(cut) == len(reply.data) and all(item.embedding == "" for item in reply.data):
        return reply, cut
    if cut:
        reply = _DECODER.decode(body)
    return reply, [item.embedding for item in reply.data]


def _without_base64(body: bytes) -> tuple[bytes, list[memoryview]]:
    """The body with an empty string for the base64 of each embedding, and what was cut out, in its order."""
    if b"\\" in body:
        return body, []
    view = memoryview(body)
    kept: list[memoryview] = []
    cut: list[memoryview] = []
    at = 0
    while opened := _OPENED.search(body, at):
        start = opened.end()
        end = body.find(b'"', start)
        if end < 0:
            return body, []
        kept.append(view[at:start])
        cut.append(view[start:end])
        at = end
    kept.append(view[at:])
    return b"".join(kept), cut


def _vectors(places: Sequence[int], encoded: Sequence[_Encoded], count: int, dimension: int) -> Floats:
    """Every vector in the row that its index names, straight from its base64."""
    if len(places) != count:
        raise _Wrong(f"it has {len(places)} vectors for {count} texts")
    if (whole := _at_once(places, encoded, count, dimension)) is not None:
        return whole
    vectors = np.empty((count, dimension), "<f4")
    rows = vectors.data.cast("B")
    width = 4 * dimension
    missing = bytearray(b"\1" * count)
    for place, embedding in zip(places, encoded, strict=True):
        if not (0 <= place < count and missing[place]):
            raise _Wrong(f"its index {place} is doubled or out of range")
        missing[place] = 0
        floats = _floats(embedding)
        if len(floats) != width:
            _check_sizes(encoded, dimension)
            raise _Wrong(f"its vector {place} has {len(floats) / 4:g} dimensions, not {dimension}")
        rows[place * width : (place + 1) * width] = floats
    return vectors


def _at_once(places: Sequence[int], encoded: Sequence[_Encoded], count: int, dimension: int) -> Floats | None:
    """All vectors by one call of the decoder, where they are in order and no base64 is padded.

    None where they are not, or where one is not as it should be: which, and why, is told one by one.
    """
    if dimension % 3 or any(map(ne, places, range(count))):
        return None
    width = 16 * dimension // 3
    whole = [one for one in encoded if isinstance(one, memoryview) and len(one) == width]
    if len(whole) < count:
        return None
    try:
        raw = pybase64.b64decode_as_bytearray(b"".join(whole), validate=True)
    except ValueError:
        return None
    return np.frombuffer(raw, "<f4").reshape(count, dimension) if len(raw) == 4 * count * dimension else None


def _check_sizes(encoded: Sequence[_Encoded], dimension: int) -> None:
    """Raises _Missized where they agree in another dimension."""
    sizes = {len(_floats(embedding)) for embedding in encoded}
    if len(sizes) == 1 and not (size := sizes.pop()) % 4:
        found = size // 4
        raise _Missized(
            f"its vectors have {found} dimensions, not {dimension}. If that is what the model gives, set "
            f"OPENAI_DIMENSIONS={found} and submit the table again, into another namespace."
        )


def _floats(embedding: _Encoded) -> bytes:
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
