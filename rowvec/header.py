"""The head of a table → its columns, its delimiter, and where its data begin. Nothing is guessed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rowvec.encoding import HALF_A_PAIR, is_half_a_pair
from rowvec.errors import InvalidRequest, SourceDamaged
from rowvec.fields import parse
from rowvec.records import Fault, Frames, frame, line_ends
from rowvec.spec import Dialect

CANDIDATES = ",;\t|"
_SAMPLE = 50
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Header:
    """`columns` is empty where the source has no header, and then no data.

    `data_start` is the byte offset of what follows the header, `data_line` its 1-based physical line.
    """

    columns: tuple[str, ...]
    data_start: int
    data_line: int
    dialect: Dialect


def read_header(head: bytes, final: bool, delimiter: str | None, max_record_bytes: int) -> Header:
    """The header in `head`, the first bytes of a source as UTF-8, or all of it where `final`.

    Raises InvalidRequest for a delimiter that cannot be had, and SourceDamaged where the header is
    none, or where only the caller can tell what the delimiter is.
    """
    _check_delimiter(delimiter)
    start = 0
    while head.startswith(_BOM, start):
        start += len(_BOM)
    view = _Head(head, start, final, max_record_bytes)
    if not head[start:].strip(b"\r\n"):
        return view.without_columns()
    chosen = delimiter or view.detected()
    return view.header(chosen)


@dataclass(frozen=True, slots=True)
class _Look:
    """The first records as one delimiter would have them: the header's values and the others' widths."""

    frames: Frames
    header: list[str] | None
    widths: list[int]
    """How many fields the records after the header have, where they can be parsed."""


class _Head:
    def __init__(self, head: bytes, start: int, final: bool, max_record_bytes: int) -> None:
        self._head = head
        self._start = start
        self._final = final
        self._max = max_record_bytes

    def without_columns(self) -> Header:
        if not self._final:
            raise SourceDamaged(f"The first {len(self._head)} bytes are blank lines; there must be a header.")
        return Header((), len(self._head), self._line_after(len(self._head)), Dialect())

    def header(self, delimiter: str) -> Header:
        """The header as this delimiter has it, once nothing speaks against it."""
        look = self._look(delimiter)
        line = self._check_frames(look.frames)
        columns = tuple(name.strip() for name in look.header or ())
        _check_names(columns, line)
        end = int(look.frames.ends[0])
        return Header(columns, end, self._line_after(end), Dialect(delimiter))

    def detected(self) -> str:
        """The delimiter, where header and first records leave no doubt."""
        looks = {mark: self._look(mark) for mark in CANDIDATES}
        possible = [mark for mark, look in looks.items() if look.header and len(look.header) > 1]
        if len(possible) < 2:
            return possible[0] if possible else CANDIDATES[0]
        consistent = [mark for mark in possible if looks[mark].widths and _consistent(looks[mark])]
        if len(consistent) == 1:
            return consistent[0]
        seen = " and ".join(repr(mark) for mark in possible)
        line = int(looks[possible[0]].frames.lines[0])
        raise SourceDamaged(
            f"Which character separates the columns? The header on line {line} has "
            f"{seen}, and the lines after it do not tell. Submit it again with `delimiter`."
        )

    def _look(self, delimiter: str) -> _Look:
        """At most _SAMPLE records after the header; a bad header has no values."""
        head = self._head[self._start :]
        frames = frame(head, self._final, delimiter.encode(), self._max, self._start)
        count = min(len(frames), _SAMPLE + 1)
        widths: list[int] = []
        header = self._values(frames, 0, delimiter) if count and 0 not in frames.bad else None
        for index in range(1, count):
            if index not in frames.bad:
                widths.append(len(self._values(frames, index, delimiter)))
        return _Look(frames, header, widths)

    def _values(self, frames: Frames, index: int, delimiter: str) -> list[str]:
        record = self._record(frames, index)
        errors = "strict" if index == 0 else "replace"
        try:
            text = record.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise _not_utf8(int(frames.starts[0]) + error.start, record, error) from error
        return next(parse(text, delimiter, self._max))

    def _record(self, frames: Frames, index: int) -> bytes:
        return self._head[int(frames.starts[index]) : int(frames.ends[index])]

    def _check_frames(self, frames: Frames) -> int:
        """The header's line. Raises where the header is not one whole, good record."""
        if not len(frames):
            raise SourceDamaged(
                f"The header does not end within the first {len(self._head)} bytes. "
                "Is this a table with one line of column names?"
            )
        line, fault = int(frames.lines[0]), frames.bad.get(0)
        if fault is not None:
            raise SourceDamaged(f"The header on line {line} {_FAULTS[fault]}.")
        place = self._record(frames, 0).find(b"\0")
        if place >= 0:
            raise SourceDamaged(
                f"The header on line {line} has a NUL byte at byte {int(frames.starts[0]) + place}. "
                "If the file is UTF-16, submit it again with `encoding`, utf-16-le or utf-16-be."
            )
        return line

    def _line_after(self, end: int) -> int:
        return 1 + line_ends(self._head, 0, end)


_FAULTS = {
    Fault.UNCLOSED: "opens a quote that is not closed",
    Fault.TEXT_AFTER: "has text after a closing quote; a quote within a quoted name is written twice",
    Fault.TOO_LONG: "is longer than a record may be",
}


def _check_delimiter(delimiter: str | None) -> None:
    if delimiter is not None and not (
        len(delimiter) == 1 and delimiter.isascii() and (delimiter.isprintable() or delimiter == "\t")
    ):
        raise InvalidRequest(
            f"The delimiter {delimiter!r} must be one ASCII character, such as , ; | or a tab.", "delimiter"
        )
    if delimiter is not None and (delimiter == '"' or delimiter.isalnum() or delimiter == " "):
        raise InvalidRequest(
            f"The delimiter cannot be {delimiter!r}. Use one such as , ; | or a tab.", "delimiter"
        )


def _not_utf8(place: int, record: bytes, error: UnicodeDecodeError) -> SourceDamaged:
    if is_half_a_pair(record, error.start):
        return SourceDamaged(f"The header has {HALF_A_PAIR}, at byte {place} of its UTF-8. Mend it there.")
    return SourceDamaged(
        f"The header is not UTF-8: byte {place} is 0x{record[error.start]:02x}. "
        "Submit it again with its `encoding`, such as cp1252, or convert the file to UTF-8."
    )


def _consistent(look: _Look) -> bool:
    return look.header is not None and all(width == len(look.header) for width in look.widths)


def _check_names(columns: tuple[str, ...], line: int) -> None:
    empty = [str(place) for place, name in enumerate(columns, 1) if not name]
    if empty:
        raise SourceDamaged(
            f"The header on line {line} gives no name to column {', '.join(empty[:20])} of {len(columns)}. "
            "Name every column."
        )
    doubled = [repr(name[:80]) for name, count in Counter(columns).items() if count > 1]
    if doubled:
        raise SourceDamaged(
            f"The header on line {line} has the name {', '.join(doubled[:20])} more than once. "
            "Give every column a name of its own."
        )
