"""Protocol buffers on the wire: as much as Pinecone's messages need, and as fast as Python goes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

Bytes = bytes | memoryview
Part = tuple[int, int, Any]
"""A field's number, its wire type, and its value: an int, 8 or 4 raw bytes, or a slice (start, end)."""

_DOUBLE = struct.Struct("<d")


class Malformed(ValueError):
    """These bytes are no such message."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at this place, and the place after it."""
    number = data[at]
    at += 1
    if number < 128:
        return number, at
    number &= 127
    shift = 7
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def parts(data: bytes, at: int, end: int) -> Iterator[Part]:
    """The fields of the message from `at` to `end`."""
    while at < end:
        tag, at = varint(data, at)
        kind = tag & 7
        value: Any
        if kind == 2:
            size, at = varint(data, at)
            value = (at, at + size)
            at += size
        elif kind == 0:
            value, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value = data[at : at + size]
            at += size
        else:
            raise Malformed(f"wire type {kind}")
        yield tag >> 3, kind, value
    if at != end:
        raise Malformed("a field is cut short")


def text(data: bytes, place: tuple[int, int]) -> str:
    return data[place[0] : place[1]].decode()


def structure(data: bytes, at: int, end: int) -> dict[str, Any]:
    """A google.protobuf.Struct."""
    fields: dict[str, Any] = {}
    while at < end:
        if data[at] != 10:
            raise Malformed("no entry of a Struct")
        size = data[at + 1]
        at += 2
        if size > 127:
            size, at = varint(data, at - 1)
        stop = at + size
        key = ""
        value = None
        while at < stop:
            tag, size = data[at], data[at + 1]
            at += 2
            if size > 127:
                size, at = varint(data, at - 1)
            if tag == 10:
                key = data[at : at + size].decode()
            elif tag == 18:
                value = _value(data, at, at + size)
            at += size
        fields[key] = value
    return fields


def _value(data: bytes, at: int, end: int) -> Any:
    """A google.protobuf.Value as Python's own; None for null."""
    if at == end:
        return None
    tag = data[at]
    if tag == 26:
        size, at = varint(data, at + 1)
        return data[at : at + size].decode()
    if tag == 17:
        return _DOUBLE.unpack_from(data, at + 1)[0]
    if tag == 32:
        return bool(data[at + 1])
    if tag == 8:
        return None
    size, at = varint(data, at + 1)
    if tag == 42:
        return structure(data, at, at + size)
    if tag == 50:
        return [_value(data, *place) for _, _, place in parts(data, at, at + size)]
    raise Malformed("no Value")


def number(value: int) -> bytes:
    """A varint."""
    if value < 128:
        return bytes((value,))
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(tag: int, content: Bytes) -> bytes:
    """A length-delimited field."""
    return b"".join((number(tag << 3 | 2), number(len(content)), content))


def counted(tag: int, value: int) -> bytes:
    """A field of an unsigned number; nothing for 0, as proto3 has it."""
    return number(tag << 3) + number(value) if value else b""


def struct_bytes(fields: dict[str, Any]) -> bytes:
    """A google.protobuf.Struct of numbers, strings, truths and lists of strings."""
    return b"".join(
        field(1, field(1, key.encode()) + field(2, _value_bytes(value))) for key, value in fields.items()
    )


def _value_bytes(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"\x20\x01" if value else b"\x20\x00"
    if isinstance(value, str):
        return field(3, value.encode())
    if isinstance(value, list):
        return field(6, b"".join(field(1, _value_bytes(item)) for item in value))
    return b"\x11" + _DOUBLE.pack(value)
