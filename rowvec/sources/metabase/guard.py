"""Is what came a table, and all of it? HTTP's 200 does not say so."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from rowvec.errors import SourceDamaged
from rowvec.records import Framer, Frames

CAPS = (2_000, 10_000, 1_048_575)
"""Rows at which Metabase's endpoints and formats cut in silence."""
_TAIL_BYTES = 512 << 10
_LONGEST_RECORD = 64 << 20
_SAID = 500
_FRAME_BYTES = 2 << 20


class Guard:
    """Sees an export go by, block by block, and judges it at its end.

    A query that fails midway writes its error, a JSON object, after the rows under the status of a good
    answer (metabase/metabase#21937). A CSV never ends in one: what has quotes in it is quoted, and every
    record ends with a line end.
    """

    def __init__(self, question: str, allow_row_cap: bool) -> None:
        self._question = question
        self._allow_row_cap = allow_row_cap
        self._framer = Framer(b",", _LONGEST_RECORD)
        self._tail = b""
        self._records = 0
        self._first_bad: int | None = None
        self._begun = False

    def see(self, block: bytes) -> None:
        """Raises SourceDamaged where the reply begins like no table."""
        if not self._begun and block.strip():
            self._begun = True
            self._check_beginning(block.lstrip(b"\xef\xbb\xbf \t\r\n"))
        view = memoryview(block)
        for start in range(0, len(block), _FRAME_BYTES):
            self._count(self._framer.feed(view[start : start + _FRAME_BYTES], False))
        self._tail = (self._tail + block)[-_TAIL_BYTES:]

    def end(self) -> None:
        """All has been seen. Raises SourceDamaged unless it is a whole table."""
        last = self._framer.feed(b"", True)
        self._count(last)
        whole = max((self._records if self._first_bad is None else self._first_bad + 1) - 2, 0)
        self._check_errors(whole)
        if not self._begun:
            raise self._damaged("is empty, without so much as a header")
        self._check_last_record(last, whole)
        rows = self._records - 1
        if rows in CAPS and not self._allow_row_cap:
            raise self._damaged(
                f"has exactly {rows:,} rows, a number at which Metabase cuts without saying so. If the "
                "question really has so many, submit it again with allow_row_cap: true; else filter it into "
                "smaller ones"
            )

    def _count(self, frames: Frames) -> None:
        if frames.bad and self._first_bad is None:
            self._first_bad = self._records + min(frames.bad)
        self._records += len(frames)

    def _check_beginning(self, block: bytes) -> None:
        if block.startswith(b"{"):
            said = _message(_error_at_the_end(block.rstrip()) or {})
            raise self._damaged(f"is an error in place of a table{said}")
        if block.startswith(b"<"):
            raise self._damaged("is a web page in place of a table. Is METABASE_URL right?")

    def _check_errors(self, whole: int) -> None:
        error = _error_at_the_end(self._tail.rstrip())
        if error is not None:
            raise self._damaged(f"broke off after {whole:,} rows with an error{_message(error)}")

    def _check_last_record(self, last: Frames, whole: int) -> None:
        if last.bad or not self._tail.endswith((b"\n", b"\r")):
            raise self._damaged(
                f"ends in the middle of a record, after {whole:,} whole rows: it was cut off. "
                "Most likely a time-out; make the question smaller, or raise it"
            )

    def _damaged(self, what: str) -> SourceDamaged:
        return SourceDamaged(f"The export of question {self._question} {what.rstrip('.')}.")


def _error_at_the_end(text: bytes) -> dict[str, Any] | None:
    """The JSON object that `text` ends with, None where there is none."""
    if not text.endswith(b"}"):
        return None
    decoder, shown = json.JSONDecoder(), text.decode("utf-8", "replace")
    place = shown.find("{")
    while place >= 0:
        with suppress(ValueError, RecursionError):
            found, end = decoder.raw_decode(shown, place)
            if end == len(shown) and found and isinstance(found, dict):
                return found
        place = shown.find("{", place + 1)
    return None


def _message(error: dict[str, Any]) -> str:
    said = error.get("error") or error.get("message") or error.get("cause")
    return f": {str(said)[:_SAID]}" if said else ""
