"""Pinecone's gRPC replies, read by hand: what is not needed (a fetched vector's values) is stepped over."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from rowvec.errors import Unavailable
from rowvec.vectorstores.pinecone.plane import Kept, Page

P = ParamSpec("P")
T = TypeVar("T")
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")


def _reading(read: Callable[P, T]) -> Callable[P, T]:
    """What cannot be read was cut or mangled on its way: Unavailable."""

    @wraps(read)
    def careful(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except (ValueError, KeyError, IndexError, struct.error) as error:
            raise Unavailable("Pinecone's reply could not be read: it was cut short.") from error

    return careful


@_reading
def fetched(reply: bytes, seen: int | None) -> Page:
    """FetchResponse, FetchByMetadataResponse: vectors = 1 (a map), pagination = 4."""
    kept: list[Kept] = []
    token = None
    for tag, value in _parts(reply, 0, len(reply)):
        if tag == 1:
            kept.append(_vector(reply, _fields(reply, value)[2]))
        elif tag == 4:
            token = _text(reply, _fields(reply, value)[1])
    return Page(kept, token, seen)


def _vector(data: bytes, place: tuple[int, int]) -> Kept:
    """Vector: id = 1, metadata = 3."""
    vector = _fields(data, place)
    return Kept(_text(data, vector[1]), _structure(data, *vector[3]) if 3 in vector else {})


@_reading
def queried(reply: bytes, seen: int | None) -> Page:
    """QueryResponse: matches = 2 (id = 1, score = 2, metadata = 4)."""
    kept = []
    for tag, value in _parts(reply, 0, len(reply)):
        if tag == 2:
            match = _fields(reply, value)
            fields = _structure(reply, *match[4]) if 4 in match else {}
            score = _FLOAT.unpack(match[2])[0] if 2 in match else 0.0
            kept.append(Kept(_text(reply, match[1]), fields, score))
    return Page(kept, None, seen)


@_reading
def listed(reply: bytes) -> tuple[list[str], str | None]:
    """ListResponse: vectors = 1 (id = 1), pagination = 2 (next = 1)."""
    ids: list[str] = []
    token = None
    for tag, value in _parts(reply, 0, len(reply)):
        if tag == 1:
            ids.append(_text(reply, _fields(reply, value)[1]))
        elif tag == 2:
            token = _text(reply, _fields(reply, value)[1])
    return ids, token


@_reading
def counts(reply: bytes) -> dict[str, int]:
    """DescribeIndexStatsResponse: namespaces = 1, a map to vector_count = 1."""
    found: dict[str, int] = {}
    for tag, value in _parts(reply, 0, len(reply)):
        if tag == 1:
            entry = _fields(reply, value)
            name = _text(reply, entry[1]) if 1 in entry else ""
            found[name] = int(_fields(reply, entry[2]).get(1, 0)) if 2 in entry else 0
    return found


@_reading
def matched(reply: bytes) -> int:
    """UpdateResponse: matched_records = 1."""
    return int(_fields(reply, (0, len(reply))).get(1, 0))


def _fields(data: bytes, place: tuple[int, int]) -> dict[int, Any]:
    """A message whose fields come once."""
    return dict(_parts(data, *place))


def _parts(data: bytes, at: int, end: int) -> Iterator[tuple[int, Any]]:
    """Each field's number and value: a number, the raw bytes of a fixed width, or a slice (start, end)."""
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        value: Any
        if kind == 2:
            size, at = _varint(data, at)
            value = (at, at + size)
            at += size
        elif kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value = data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, value
    if at != end:
        raise ValueError("a field ends after its message")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def _text(data: bytes, place: tuple[int, int]) -> str:
    return data[place[0] : place[1]].decode()


def _structure(data: bytes, at: int, end: int) -> dict[str, Any]:
    """A google.protobuf.Struct."""
    fields: dict[str, Any] = {}
    for _, place in _parts(data, at, end):
        entry = _fields(data, place)
        fields[_text(data, entry[1]) if 1 in entry else ""] = _value(data, entry[2])
    return fields


def _value(data: bytes, place: tuple[int, int]) -> Any:
    """A google.protobuf.Value: number = 2, string = 3, bool = 4, list = 6; None for anything else."""
    for kind, value in _parts(data, *place):
        if kind == 2:
            return _DOUBLE.unpack(value)[0]
        if kind == 3:
            return _text(data, value)
        if kind == 4:
            return bool(value)
        if kind == 6:
            return [_value(data, item) for _, item in _parts(data, *value)]
    return None
