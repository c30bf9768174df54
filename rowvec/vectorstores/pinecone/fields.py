"""What is stored beside a vector: the row's metadata, who wrote it, and its text.

Pinecone has one flat set of fields for all of it. Names that begin with `rowvec_` are ours; a column
whose own name cannot be used (it begins with `_`, `$` or `rowvec_`, is empty, or is that of a vector
field) is kept as `rowvec_field_NAME` and comes back under its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from rowvec.errors import InputRefused
from rowvec.vectors import Match, Stamp, VectorBatch

PREFIX = "rowvec_"
TASK = "rowvec_task"
ROW = "rowvec_row"
OWNER = "rowvec_row_id"
"""Of passages only: a row that is one vector has its own id."""
TEXT = "rowvec_text"
CUT_FROM = "rowvec_text_length"
"""Characters of a text that had to be cut."""
RENAMED = "rowvec_field_"

MOST_BYTES = 40_000
"""Pinecone takes 40 KB of metadata a vector; its count is taken to be that of the JSON."""
MOST_METADATA = 32_768
"""So much for the row's own fields, that its text has a fifth at least."""
_SURELY_FITS = MOST_BYTES // 6
"""JSON writes a byte with six at most."""
_EXACT = 2**53
_UNUSABLE = ("_", "$", PREFIX)
_JSON = msgspec.json.Encoder()

Value = str | float | bool | list[str]
Fields = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Schema:
    """Names a document index has declared: vector fields, and strings that are searched as text."""

    vectors: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()

    def stored(self, name: str, is_text: bool) -> str:
        """The name under which a column's value is stored."""
        if not name or name.startswith(_UNUSABLE) or name in self.vectors:
            return RENAMED + name
        return RENAMED + name if name in self.texts and not is_text else name


def given(name: str) -> str | None:
    """The column's own name; None for what is ours."""
    if not name.startswith(PREFIX):
        return name
    return name.removeprefix(RENAMED) if name.startswith(RENAMED) else None


def of_batch(batch: VectorBatch, schema: Schema) -> Iterator[Fields]:
    """The fields of each vector, fitted to MOST_BYTES. Raises InputRefused, naming the vector."""
    columns = zip(batch.ids, batch.row_ids, batch.row_numbers, batch.texts, batch.metadata, strict=True)
    stored = cache(schema.stored)
    for id_, row_id, number, text, metadata in columns:
        fields: Fields = {TASK: batch.task_id, ROW: float(number), TEXT: text}
        if row_id != id_:
            fields[OWNER] = row_id
        try:
            for name, value in metadata.items():
                is_text = type(value) is str
                fields[stored(name, is_text)] = value if is_text else _value(name, value)
            yield _fitted(fields)
        except (ValueError, UnicodeEncodeError) as error:
            raise InputRefused(f"The metadata of '{shown(id_)}' cannot be stored: {error}.") from error


def _value(name: str, value: Any) -> Value:
    kind = type(value)
    if kind is bool:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is float:
        number = float(value)
        if math.isfinite(number) and number == value:
            return number
        raise ValueError(f"'{name}' holds {value}, which a 64-bit float does not")
    if kind is list and all(type(item) is str for item in value):
        return value  # type: ignore[no-any-return]
    raise ValueError(
        f"'{name}' holds a {kind.__name__}; Pinecone takes strings, numbers, truths, lists of strings"
    )


def _fitted(fields: Fields) -> Fields:
    """The same fields, with the text cut where that is needed. Raises ValueError when it is not enough."""
    if _size(fields) <= _SURELY_FITS:
        return fields
    if len(_JSON.encode(fields)) <= MOST_BYTES:
        return fields
    text = str(fields[TEXT])
    fields[CUT_FROM] = float(len(text))
    fields[TEXT] = ""
    room = MOST_BYTES - len(_JSON.encode(fields))
    if room < 0:
        raise ValueError(f"it takes {MOST_BYTES - room} bytes with what is ours; at most {MOST_BYTES} fit")
    fields[TEXT] = _cut(text, room)
    return fields


def _cut(text: str, room: int) -> str:
    """As much of its beginning as takes so many bytes in JSON."""
    raw = text.encode()
    while (size := len(_JSON.encode(text)) - 2) > room:
        raw = raw[: min(len(raw) * room // size, len(raw) - 1)]
        text = raw.decode(errors="ignore")
    return text


def _size(fields: Fields) -> int:
    """Bytes of UTF-8, at most. Raises UnicodeEncodeError for half a character."""
    size = 32 * len(fields)
    strings = [*fields]
    for value in fields.values():
        if type(value) is str:
            strings.append(value)
        elif type(value) is list:
            size += 8 * len(value)
            strings += value
    together = "".join(strings)
    return size + (len(together) if together.isascii() else len(together.encode()))


def stamp_of(id_: str, fields: Mapping[str, Any]) -> Stamp:
    """Who wrote it. What another program has stored has no task."""
    return Stamp(id_, str(fields.get(OWNER, id_)), str(fields.get(TASK, "")), int(fields.get(ROW, 0)))


def match_of(id_: str, score: float, fields: Mapping[str, Any], vectors: frozenset[str]) -> Match:
    """The row's own fields under their own names. A text that was cut ends with …"""
    metadata = {}
    for name, value in fields.items():
        column = given(name)
        if column is not None and name not in vectors:
            metadata[column] = _as_given(value)
    text = str(fields.get(TEXT, "")) + ("…" if CUT_FROM in fields else "")
    return Match(id_, min(1.0, max(-1.0, score)), text, metadata)


def _as_given(value: Any) -> Any:
    """Pinecone knows one kind of number. A whole one was an integer: no column has it otherwise."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def shown(id_: str) -> str:
    """An id as a message may hold it."""
    return id_[:200].encode("utf-8", "backslashreplace").decode()
