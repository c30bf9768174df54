"""A chunk's rows → what is embedded and stored of each, and the rows that are left out, with why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain

import msgspec

from rowvec.dates import DateWindow
from rowvec.metadata import Fitter, Value
from rowvec.reader import ChunkRows
from rowvec.rejection import Rejection
from rowvec.spec import TaskSpec
from rowvec.text import Template, clean, content_id, passages, row_id

CountTokens = Callable[[Sequence[str]], list[int]]


class Entry(msgspec.Struct, frozen=True):
    """A row on its way into the index. `position` is its place in the chunk's rows; `warnings` say what was
    trimmed of its metadata."""

    row_id: str
    number: int
    position: int
    passages: Sequence[str]
    metadata: Mapping[str, Value]
    content_hash: bytes
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """`entries` have distinct row ids. `notes` are rejections.

    `doubles` are, by row id, the rows of which a later one is among the entries, in the order of the file.
    """

    entries: list[Entry]
    notes: list[Rejection]
    filtered: int
    doubles: Mapping[str, Sequence[Entry]]

    def standings(self) -> Iterator[Entry]:
        """Every row that may land, of doubled ids too."""
        return chain(self.entries, *self.doubles.values())


class RowRefused(Exception):
    """This row cannot be indexed; `code` and the message are what the caller is told."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Describer:
    """Describes rows of one task; made once a chunk. Pure: the same rows give the same entries."""

    def __init__(self, spec: TaskSpec, max_metadata_bytes: int, max_tokens: int, count: CountTokens) -> None:
        self._spec = spec
        self._template = Template(spec.header, spec.text_columns, spec.text_template)
        self._fitter = Fitter(spec, max_metadata_bytes)
        self._max_tokens = max_tokens
        self._count = count
        self._id_at = spec.header.index(spec.id_column) if spec.id_column else None
        self._date_at = spec.header.index(spec.date_column) if spec.date_column else None
        self._window = DateWindow(spec.start_date, spec.end_date, spec.date_format)

    def describe(self, rows: ChunkRows) -> Described:
        by_id: dict[str, Entry] = {}
        doubles: dict[str, list[Entry]] = {}
        notes = list(rows.rejections)
        filtered = 0
        for position, row in enumerate(rows.rows):
            try:
                if not self._selected(row):
                    filtered += 1
                    continue
                entry = self._entry(row, position, rows.numbers[position])
            except RowRefused as refusal:
                notes.append(rows.rejection(position, "rejected", refusal.code, refusal.reason))
                continue
            if earlier := by_id.pop(entry.row_id, None):
                doubles.setdefault(entry.row_id, []).append(earlier)
            by_id[entry.row_id] = entry
        return Described(list(by_id.values()), notes, filtered, doubles)

    def _selected(self, row: Sequence[str]) -> bool:
        if self._date_at is None:
            return True
        try:
            return self._window.contains(row[self._date_at])
        except ValueError as error:
            raise RowRefused("unreadable-date", f"column '{self._spec.date_column}': {error}") from error

    def _entry(self, row: Sequence[str], position: int, number: int) -> Entry:
        identity = self._identity(row)
        text = clean(self._template.render(row))
        if not text:
            raise RowRefused("empty-text", "no text is left to embed in this row")
        pieces = passages(text, self._max_tokens, self._count)
        fitted = self._fitter.fit(row)
        digest = blake2b("\x1f".join(row).encode(), digest_size=16).digest()
        return Entry(identity, number, position, pieces, fitted.values, digest, fitted.warnings)

    def _identity(self, row: Sequence[str]) -> str:
        if self._id_at is None:
            return content_id(self._spec.header, row, self._spec.id_prefix)
        identity = row_id(row[self._id_at], self._spec.id_prefix)
        if identity is None:
            raise RowRefused("empty-id", f"the id column '{self._spec.id_column}' is empty in this row")
        return identity


def doubled_reason(winner: int, row_id: str) -> str:
    return f"row {winner} has the same id {row_id[:200]!r} and stands later in the file; the last one is kept"
