"""Saved questions and the rows that they give."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

ROW_CAP = 1_048_575
"""Rows that an export of Metabase holds at most, beside its header; what is beyond is left out in silence."""

_COLUMNS = ("id", "title", "body", "price", "created_at")
_NUMBER = re.compile(r"-?\d{4,}(\.\d+)?")


@dataclass(frozen=True)
class Question:
    """A saved question: the text of a CSV, or `generated` rows of a made-up table."""

    id: int
    name: str = "A question"
    text: str = ""
    generated: int | None = None
    forbidden: bool = False
    archived: bool = False

    def rows(self) -> Iterator[Sequence[str]]:
        """The header, then the rows."""
        if self.generated is None:
            return iter(csv.reader(io.StringIO(self.text, newline=""), strict=True))
        return _made_up(self.generated)


def _made_up(count: int) -> Iterator[Sequence[str]]:
    yield _COLUMNS
    for n in range(1, count + 1):
        day = f"2025-{n % 12 + 1:02}-{n % 28 + 1:02}T00:00:00Z"
        yield str(n), f"Title {n}", f'Body of row {n}, with "quotes"\nand a line', str(n * 10), day


def lines(question: Question, formatted: bool, cap: int) -> Iterator[bytes]:
    """The export, record by record: header and at most `cap` rows.

    `formatted` gives numbers as people read them, as Metabase does unless it is told not to.
    """
    for row in islice(question.rows(), cap + 1):
        cells = [_readable(cell) for cell in row] if formatted else row
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(cells)
        yield line.getvalue().encode()


def _readable(cell: str) -> str:
    if not _NUMBER.fullmatch(cell):
        return cell
    whole, dot, rest = cell.partition(".")
    return f"{int(whole):,}{dot}{rest}"
