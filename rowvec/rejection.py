"""A row that is left out, as it is recorded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that is not in the index, and why.

    `outcome` is `rejected` or `duplicate` (a later row of the file has the same id) or `warning`
    (the row landed, with something trimmed). `content` is the record as it stands in the file, cut
    at 64 KiB; `start` and `end` are its byte range in the pinned source (or its UTF-8 copy), `line` its
    1-based physical line. Doubles that are found across chunks carry the row number only.
    """

    outcome: str
    row: int
    line: int | None
    start: int | None
    end: int | None
    code: str
    reason: str
    content: str
