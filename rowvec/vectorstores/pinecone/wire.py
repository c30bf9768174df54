"""Pinecone's gRPC messages, written by hand (db_data_2025-10.proto of github.com/pinecone-io/pinecone-api).

The float32 little-endian bytes of a NumPy row are the payload of protobuf's packed `repeated float`, so
that a vector goes into its message without one number being looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from rowvec.vectors import Floats
from rowvec.vectorstores.pinecone.fields import Fields, Value

_VARINTS = [bytes((n,)) for n in range(128)] + [bytes((n & 127 | 128, n >> 7)) for n in range(128, 1 << 14)]
_PACK_DOUBLE = struct.Struct("<d").pack
_TRUE, _FALSE = b"\x02\x20\x01", b"\x02\x20\x00"


def varint(number: int) -> bytes:
    if number < 1 << 14:
        return _VARINTS[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(tag: int, content: bytes) -> bytes:
    """A length-delimited field: a string, bytes or a message."""
    return b"".join((varint(tag << 3 | 2), varint(len(content)), content))


def text(tag: int, value: str) -> bytes:
    """A string; nothing when it is empty."""
    return delimited(tag, value.encode()) if value else b""


def number(tag: int, value: int) -> bytes:
    """An unsigned number or a truth; nothing for 0."""
    return varint(tag << 3) + varint(value) if value else b""


def upsert(namespace: str, ids: Sequence[str], vectors: Floats, fields: Iterable[Fields]) -> bytes:
    """UpsertRequest: vectors = 1 (id = 1, values = 2, metadata = 3), namespace = 2.

    `vectors` has shape (n, dimension). The ids are ASCII.
    """
    rows = memoryview(np.ascontiguousarray(vectors, "<f4").data).cast("B")
    width = 4 * vectors.shape[1]
    values_head = b"\x12" + varint(width)
    pieces: list[bytes | memoryview] = []
    add = pieces.append
    at = 0
    for id_, row in zip(ids, fields, strict=True):
        name = id_.encode("ascii")
        metadata = structure(row)
        head = b"".join((b"\x0a", varint(len(name)), name, values_head))
        tail = b"\x1a" + varint(len(metadata))
        add(b"\x0a" + varint(len(head) + width + len(tail) + len(metadata)))
        add(head)
        add(rows[at : at + width])
        add(tail)
        add(metadata)
        at += width
    add(text(2, namespace))
    return b"".join(pieces)


def structure(fields: Fields) -> bytes:
    """A google.protobuf.Struct."""
    pieces: list[bytes] = []
    add = pieces.append
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            raw = value.encode()  # type: ignore[union-attr]
            add(_before_text(name, len(raw)))
            add(raw)
        elif kind is float:
            add(_before_number(name))
            add(_PACK_DOUBLE(value))
        else:
            add(_entry(name, _value(value)))
    return b"".join(pieces)


@lru_cache(16_384)
def _before_text(name: str, size: int) -> bytes:
    """An entry of a Struct up to the bytes of its string, so many: they repeat from row to row."""
    head = b"\x1a" + varint(size)
    return _entry(name, varint(len(head) + size) + head, size)


@lru_cache(4096)
def _before_number(name: str) -> bytes:
    """The same up to the 8 bytes of its number."""
    return _entry(name, b"\x09\x11", 8)


def _entry(name: str, value: bytes, more: int = 0) -> bytes:
    """An entry of a Struct: its key, and its value behind its own length, of which so many bytes follow."""
    key = delimited(1, name.encode()) + b"\x12"
    return b"\x0a" + varint(len(key) + len(value) + more) + key + value


def _value(value: Value | list[Any] | dict[str, Any]) -> bytes:
    """A google.protobuf.Value behind its own length."""
    kind = type(value)
    if kind is str:
        raw = value.encode()  # type: ignore[union-attr]
        size = varint(len(raw))
        return b"".join((varint(1 + len(size) + len(raw)), b"\x1a", size, raw))
    if kind is float or kind is int:
        return b"\x09\x11" + _PACK_DOUBLE(value)
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is dict:
        content = delimited(5, structure(value))  # type: ignore[arg-type]
    else:
        content = delimited(6, b"".join(b"\x0a" + _value(item) for item in value))  # type: ignore[union-attr]
    return varint(len(content)) + content


def fetch(namespace: str, ids: Sequence[str]) -> bytes:
    """FetchRequest: ids = 1, namespace = 2."""
    return b"".join([*(text(1, id_) for id_ in ids), text(2, namespace)])


def fetch_matching(namespace: str, filter_: dict[str, Any], limit: int, token: str) -> bytes:
    """FetchByMetadataRequest: namespace = 1, filter = 2, limit = 3, pagination_token = 4."""
    return text(1, namespace) + delimited(2, structure(filter_)) + number(3, limit) + text(4, token)


def listing(namespace: str, prefix: str, token: str) -> bytes:
    """ListRequest: prefix = 1, pagination_token = 3, namespace = 4."""
    return text(1, prefix) + text(3, token) + text(4, namespace)


def delete(namespace: str, ids: Sequence[str]) -> bytes:
    """DeleteRequest: ids = 1, namespace = 3."""
    return b"".join([*(text(1, id_) for id_ in ids), text(3, namespace)])


def delete_matching(namespace: str, filter_: dict[str, Any]) -> bytes:
    """DeleteRequest: namespace = 3, filter = 4."""
    return text(3, namespace) + delimited(4, structure(filter_))


def count_matching(namespace: str, filter_: dict[str, Any], unchanged: Fields) -> bytes:
    """UpdateRequest: set_metadata = 3, namespace = 4, filter = 6, dry_run = 7.

    With dry_run it changes nothing and counts what it would have changed. `unchanged` is what it would have
    set: what the filter asks for, so that it changes nothing without dry_run either.
    """
    return (
        delimited(3, structure(unchanged))
        + text(4, namespace)
        + delimited(6, structure(filter_))
        + number(7, 1)
    )


def query(namespace: str, vector: Floats, limit: int, metadata: bool) -> bytes:
    """QueryRequest: namespace = 1, top_k = 2, include_metadata = 5, vector = 7."""
    values = delimited(7, np.ascontiguousarray(vector, "<f4").tobytes())
    return text(1, namespace) + number(2, limit) + number(5, int(metadata)) + values
