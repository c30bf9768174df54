"""Where records begin and end: the one definition, used by the planner, the reader and the header.

A record ends at `\\n`, `\\r\\n` or a bare `\\r` outside quotes. At the start of a field `"` opens quotes,
inside them `""` is one quote, and a closing quote is followed by the delimiter, a line end or the end.
Anywhere else in an unquoted field a `"` stands for itself.

A record whose quotes do not fit (text after a closing quote; a quote still open at the end, or
`max_record_bytes` after the record's start) is bad and is exactly its first physical line, so that a
lost quote costs one line. A longer record that is outside quotes at that limit is bad, too, and goes on
to the next physical line end. Lines without a byte are blank: no records, only counted. Whether bytes
are bad, and why, follows from the record's own bytes; so chunks read alone give what the whole gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rowvec.exact import LINE_END, ExactScan, Verdict

Offsets = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_LF, _CR, _QUOTE = 10, 13, 34
_SHORT_STRETCH, _SMALL_WINDOW, _LARGE_WINDOW = 1 << 12, 1 << 16, 1 << 19


class Fault(StrEnum):
    """Why a record is bad."""

    UNCLOSED = "unclosed-quote"
    TEXT_AFTER = "text-after-quote"
    TOO_LONG = "record-too-long"


@dataclass(frozen=True, slots=True)
class Frames:
    """Records in order: byte offsets `starts` to `ends` (line end included) in the source.

    `lines` holds the 1-based physical line of each start, `bad` the fault of each bad record by its
    index. `blank_lines` counts the blank lines met on the way.
    """

    starts: Offsets
    ends: Offsets
    lines: Offsets
    bad: dict[int, Fault]
    blank_lines: int

    def __len__(self) -> int:
        return len(self.starts)


def frame(
    data: bytes, final: bool, delimiter: bytes, max_record_bytes: int, offset: int = 0, line: int = 1
) -> Frames:
    """The records of `data`, which begins at a record boundary; `final` says that it ends at one.

    `offset` and `line` are the place of its first byte in the source. Without `final` a record at the
    end that more bytes could change is left out.
    """
    return Framer(delimiter, max_record_bytes, offset, line).feed(data, final)


@dataclass(frozen=True, slots=True)
class _Lost:
    """A bad record whose line end has not been read yet."""

    start: int
    line: int
    text_after: bool


@dataclass(slots=True)
class _Found:
    """Collects records: whole arrays from the fast scan, single ones from the exact scan."""

    parts: list[tuple[Offsets, Offsets, Offsets]] = field(default_factory=list)
    single: list[tuple[int, int, int]] = field(default_factory=list)
    bad: dict[int, Fault] = field(default_factory=dict)
    blank_lines: int = 0
    count: int = 0

    def add(self, start: int, end: int, line: int, fault: Fault | None = None) -> None:
        if fault:
            self.bad[self.count] = fault
        self.single.append((start, end, line))
        self.count += 1

    def add_many(self, starts: Offsets, ends: Offsets, lines: Offsets) -> None:
        self._flush()
        self.parts.append((starts, ends, lines))
        self.count += len(starts)

    def frames(self) -> Frames:
        self._flush()
        none = np.empty(0, np.int64)
        starts, ends, lines = map(np.concatenate, zip((none, none, none), *self.parts, strict=True))
        return Frames(starts, ends, lines, self.bad, self.blank_lines)

    def _flush(self) -> None:
        if self.single:
            table = np.array(self.single, np.int64)
            self.parts.append((table[:, 0], table[:, 1], table[:, 2]))
            self.single = []


class Framer:
    """Frames a source block by block. Holds at most one undecided record (`max_record_bytes`)."""

    def __init__(self, delimiter: bytes, max_record_bytes: int, offset: int = 0, line: int = 1) -> None:
        self._exact = ExactScan(delimiter, max_record_bytes)
        self._max = max_record_bytes
        self._beside_quote = np.zeros(256, np.bool_)
        self._beside_quote[[delimiter[0], _LF, _CR, _QUOTE]] = True
        self._window = _LARGE_WINDOW
        self._mask = np.empty(_LARGE_WINDOW, np.bool_)
        self._stretch = _SHORT_STRETCH
        self._buffer = b""
        self._base = offset
        self._line = line
        self._lost: _Lost | None = None
        self._found = _Found()

    def feed(self, block: bytes | memoryview, final: bool) -> Frames:
        """The records that `block` completes. `final` says that the source ends with it."""
        self._buffer = b"".join((self._buffer, block))
        self._found = _Found()
        position = self._end_lost(self._lost, 0, final) if self._lost else 0
        while self._lost is None and position < len(self._buffer):
            after = self._window_from(position, final)
            if after == position:
                break
            position = after
        self._drop(position)
        return self._found.frames()

    def _drop(self, position: int) -> None:
        self._buffer = self._buffer[position:]
        self._base += position
        self._exact.shift(position)

    def _window_from(self, position: int, final: bool) -> int:
        """Frames one window: fast where it is clean, exactly for a stretch from its first doubt."""
        after, doubtful = self._fast(position, min(position + self._window, len(self._buffer)))
        if not doubtful:
            self._window, self._stretch = min(self._window * 4, _LARGE_WINDOW), _SHORT_STRETCH
            return after if after > position else self._one(after, final)
        # Few doubts: the exact scan is short. Doubt after doubt: it takes over for longer and longer.
        rare = after - position > self._stretch
        self._stretch = _SHORT_STRETCH if rare else min(self._stretch * 2, _SMALL_WINDOW)
        self._window = _SMALL_WINDOW
        return self._exactly(after, after + self._stretch, final)

    def _exactly(self, position: int, target: int, final: bool) -> int:
        """Frames record after record until `target`, a lost line end or the end of what is decided."""
        target = min(target, len(self._buffer))
        while position < target and self._lost is None:
            end = self._exact.plain_line(self._buffer, position)
            if end:
                self._found.add(self._base + position, self._base + end, self._line)
                self._line += 1
            else:
                end = self._one(position, final)
            if end == position:
                break
            position = end
        return position

    def _fast(self, position: int, stop: int) -> tuple[int, bool]:
        """Frames clean records up to `stop` with NumPy: the offset after them, and if a doubt follows."""
        window = np.frombuffer(self._buffer, np.uint8, stop - position, position)
        newlines = self._places(window, _LF)
        quotes = self._quotes(window, position)
        order = np.flatnonzero((np.searchsorted(quotes, newlines) & 1) == 0) if len(quotes) else None
        ends = newlines if order is None else newlines[order]
        starts = np.empty_like(ends)
        starts[:1], starts[1:] = 0, ends[:-1] + 1
        doubt = self._doubt(window, newlines, quotes, position)
        clean = int(np.searchsorted(ends, doubt))
        sizes = ends - starts
        if len(sizes) and sizes.max() > self._max:
            clean = min(clean, int(np.argmax(sizes > self._max)))
        doubtful = clean < len(ends) or (clean == 0 and doubt < len(window))
        if not clean:
            return position, doubtful
        self._take(window, position, starts[:clean], ends[:clean], order)
        return position + int(ends[clean - 1]) + 1, doubtful

    def _places(self, window: Bytes, byte: int) -> Offsets:
        return np.flatnonzero(np.equal(window, byte, out=self._mask[: len(window)]))

    def _quotes(self, window: Bytes, position: int) -> Offsets:
        if self._buffer.find(b'"', position, position + len(window)) < 0:
            return np.empty(0, np.int64)
        return self._places(window, _QUOTE)

    def _doubt(self, window: Bytes, newlines: Offsets, quotes: Offsets, position: int) -> int:
        """Offset in the window from which quotes and line ends need the exact scan."""
        doubt = len(window)
        if self._buffer.find(b"\r", position, position + doubt) >= 0:
            doubt = _bare_return(window, newlines)
        opening, closing = quotes[0::2], quotes[1::2]
        opening = opening[1:] if len(opening) and opening[0] == 0 else opening
        closing = closing[:-1] if len(closing) and closing[-1] == len(window) - 1 else closing
        for marks, neighbours in ((opening, opening - 1), (closing, closing + 1)):
            fits = self._beside_quote[window[neighbours]]
            if not fits.all():
                doubt = min(doubt, int(marks[np.argmin(fits)]))
        return doubt

    def _take(
        self, window: Bytes, position: int, starts: Offsets, ends: Offsets, order: Offsets | None
    ) -> None:
        """Adds records from `starts` to their line feeds `ends`, number `order` of all the line feeds."""
        order = np.arange(len(ends)) if order is None else order[: len(ends)]
        lines = np.empty_like(order)
        lines[0], lines[1:] = self._line, order[:-1] + (self._line + 1)
        self._line += int(order[-1]) + 1
        sizes = ends - starts
        offset = self._base + position
        if sizes.min() <= 1:
            kept = ~((sizes == 0) | ((sizes == 1) & (window[starts] == _CR)))
            self._found.blank_lines += len(kept) - int(np.count_nonzero(kept))
            starts, ends, lines = starts[kept], ends[kept], lines[kept]
        self._found.add_many(starts + offset, ends + (offset + 1), lines)

    def _one(self, position: int, final: bool) -> int:
        """Frames the one record or blank line at `position`, exactly; returns it while undecided."""
        verdict, at = self._exact.judge(self._buffer, position, final)
        if verdict is Verdict.BAD:
            lost = _Lost(self._base + position, self._line, self._exact.text_after)
            self._line += line_ends(self._buffer, position, at)
            return self._end_lost(lost, at, final)
        end = self._after_line_end(at, final) if verdict is Verdict.GOOD else None
        if end is None:
            return position
        if at == position:
            self._found.blank_lines += 1
        else:
            self._found.add(self._base + position, self._base + end, self._line)
        self._line += line_ends(self._buffer, position, end)
        return end

    def _end_lost(self, lost: _Lost, position: int, final: bool) -> int:
        """Looks from `position` for the line end that ends a bad record; all before it may be forgotten."""
        match = LINE_END.search(self._buffer, position)
        at = match.start() if match else len(self._buffer)
        end = self._after_line_end(at, final)
        self._lost = lost if end is None else None
        if end is None:
            return at
        too_long = self._base + at - lost.start > self._max
        fault = Fault.TEXT_AFTER if lost.text_after else Fault.UNCLOSED
        self._found.add(lost.start, self._base + end, lost.line, Fault.TOO_LONG if too_long else fault)
        self._line += end > at
        return end

    def _after_line_end(self, at: int, final: bool) -> int | None:
        """The offset after the line end at `at` (or the source's end); None where more bytes decide."""
        following = self._buffer[at : at + 2]
        if following == b"\r\n":
            return at + 2
        if following[:1] == b"\n" or len(following) == 2:
            return at + 1
        return at + len(following) if final else None


def _bare_return(window: Bytes, newlines: Offsets) -> int:
    """Where the first `\r` without `\n` stands, the window's length if none; one at its end is left open."""
    size = len(window)
    returns = int(np.count_nonzero(window == _CR)) - int(window[-1] == _CR)
    inner = newlines[1:] if len(newlines) and newlines[0] == 0 else newlines
    if returns == np.count_nonzero(window[inner - 1] == _CR):
        return size
    places = np.flatnonzero(window[:-1] == _CR)
    return int(places[np.argmax(window[places + 1] != _LF)])


def line_ends(data: bytes, start: int, end: int) -> int:
    """How many lines end in `data[start:end]`; `\\r\\n` is one."""
    returns = data.count(b"\r", start, end)
    return data.count(b"\n", start, end) + returns - (data.count(b"\r\n", start, end) if returns else 0)
