"""The exact scan: one record at a time, for the bytes the fast scan of `records` leaves undecided."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import partial

from rowvec.possessive import IS_RIGHT, possessive

LINE_END = re.compile(rb"[\r\n]")

_LF, _CR, _QUOTE = 10, 13, 34
_TAIL = re.compile(rb"[^\r\n]*+")


class _State(Enum):
    ENDED = 0
    LOOSE = 1
    OPEN = 2
    FAULT = 3


class Verdict(Enum):
    GOOD = 0
    BAD = 1
    MORE = 2


@dataclass(slots=True)
class _Trail:
    """What is known of the bytes `start` to `end` when `start` lies inside quotes: no record ends there.

    At every line end between them the state is the same (inside quotes), so that the next bad line's
    scan jumps to `end` instead of walking there again: what keeps broken files linear.
    """

    start: int = 0
    end: int = -1
    fault: bool = False


class ExactScan:
    """Judges one record at a time, byte for byte, with patterns that never look back."""

    def __init__(self, delimiter: bytes, max_record_bytes: int, is_right: bool = IS_RIGHT) -> None:
        """`is_right` as in `possessive`."""
        group = partial(possessive, is_right=is_right)
        mark = re.escape(delimiter)
        inside = rb'[^"]*+' + group(rb'""[^"]*+', b"*")
        plain = group(rb"[^\"%b\r\n][^%b\r\n]*+" % (mark, mark), b"?") + mark
        self._quoted = re.compile(inside)
        self._lead = re.compile(group(plain, b"*"))
        self._cycles = re.compile(group(rb'%b"%b%b"' % (inside, mark, group(plain, b"*")), b"*"))
        within = rb'"[^"\r\n]*+%b"(?=[%b\r\n])' % (group(rb'""[^"\r\n]*+', b"*"), mark)
        value = group(rb'%b|[^"%b\r\n][^%b\r\n]*+' % (within, mark, mark), b"?")
        more = group(mark + value, b"*")
        self._plain_line = re.compile(rb"(?=[^\r\n])%b%b(?:\r\n?|\n)" % (value, more))
        self._delimiter = delimiter[0]
        self._max = max_record_bytes
        self._trail = _Trail()
        self.text_after = False

    def shift(self, dropped: int) -> None:
        """The buffer lost its first `dropped` bytes."""
        self._trail.start -= dropped
        self._trail.end -= dropped

    def plain_line(self, data: bytes, start: int) -> int | None:
        """The end of a good record that is one whole line of `data`; None for anything else."""
        limit = min(start + self._max + 1, len(data))
        match = self._plain_line.match(data, start, limit)
        return match.end() if match and match.end() < limit else None

    def judge(self, data: bytes, start: int, final: bool) -> tuple[Verdict, int]:
        """GOOD and where its content ends; BAD and where the search for its line end begins; or MORE."""
        limit = start + self._max + 1
        stop = min(limit, len(data))
        found = LINE_END.search(data, start, stop)
        line_end = found.start() if found else stop
        self.text_after = False
        state = self._first_line(data, start, line_end)
        if state is _State.FAULT:
            self.text_after = True
            return Verdict.BAD, line_end
        if found and state is _State.LOOSE:
            return Verdict.GOOD, line_end
        at = stop
        if found:
            state, at = self._follow(data, line_end, stop)
        if state in (_State.ENDED, _State.FAULT):
            return (Verdict.GOOD, at) if state is _State.ENDED else (Verdict.BAD, line_end)
        if not (stop == limit or final):
            return Verdict.MORE, start
        if state is _State.OPEN:
            return Verdict.BAD, line_end
        return (Verdict.BAD if stop == limit else Verdict.GOOD), stop

    def _first_line(self, data: bytes, start: int, line_end: int) -> _State:
        """The state at the end of a record's first line: LOOSE is outside quotes."""
        if data.find(b'"', start, line_end) < 0:
            return _State.LOOSE
        at = _run(self._lead, data, start, line_end)
        if at == line_end or data[at] != _QUOTE:
            return _State.LOOSE
        return self._walk(data, at + 1, line_end)[0]

    def _follow(self, data: bytes, line_end: int, stop: int) -> tuple[_State, int]:
        """Walks on from `line_end`, inside quotes, using and leaving a trail."""
        trail = self._trail
        if not trail.start <= line_end <= trail.end:
            trail.start, trail.end, trail.fault = line_end, line_end, False
        if trail.fault:
            return _State.FAULT, trail.end
        state, at = self._walk(data, trail.end, stop)
        if state in (_State.FAULT, _State.OPEN):
            trail.end, trail.fault = at, state is _State.FAULT
        return state, at

    def _walk(self, data: bytes, at: int, stop: int) -> tuple[_State, int]:
        """From inside quotes at `at`: ENDED where the content ends, FAULT, or the state at `stop`."""
        at = _run(self._cycles, data, at, stop)
        quote = _run(self._quoted, data, at, stop)
        if quote == stop:
            return _State.OPEN, stop
        after = quote + 1
        if after < stop and data[after] == self._delimiter:
            after = _run(_TAIL, data, after, stop)
        if after == stop:
            return _State.LOOSE, stop
        return (_State.ENDED if data[after] in (_LF, _CR) else _State.FAULT), after


def _run(pattern: re.Pattern[bytes], data: bytes, at: int, stop: int) -> int:
    """Where a run of `pattern` that begins at `at` ends; `at` where there is none."""
    match = pattern.match(data, at, stop)
    return match.end() if match else at
