"""Rejected rows as a table that a person repairs and sends in again, and the way back from it.

The table has the task's own columns after `_row` and `_reason`. A value that a spreadsheet could take for
a formula stands behind a `'`, which is taken off again. A cell that begins with `[repair]` waits for a
person: as long as it is there, its row is rejected again, so that nothing padded, cut or guessed lands.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from rowvec.errors import InvalidRequest
from rowvec.fields import parse
from rowvec.machine import Machine
from rowvec.model import Task
from rowvec.reader import CONTENT_BYTES, ChunkRows
from rowvec.rejected import rejections
from rowvec.rejection import Rejection
from rowvec.spec import TaskSpec

LEAD = ("_row", "_reason")
OPEN = "[repair]"
MISSING = f"{OPEN} missing"

_GUARDED = re.compile(r"'*(?:[=+\-@\t\r]|\[repair\])")
_ESCAPED_BYTE = re.compile(r"\\x[0-9a-f]{2}")
_FIRST_LINE = re.compile(rb'(?:\xef\xbb\xbf)?("?)_row\1([,;\t|])("?)_reason\3(?:\2|\r|\n|$)')


def guarded(value: str) -> str:
    """The value as no spreadsheet takes it for a formula; `unguarded` gives it back exactly."""
    return f"'{value}" if _GUARDED.match(value) else value


def unguarded(value: str) -> str:
    return value[1:] if value.startswith("'") and _GUARDED.match(value) else value


def is_repair(spec: TaskSpec) -> bool:
    return spec.parent_id is not None and spec.header[: len(LEAD)] == LEAD


def names(header: Sequence[str]) -> tuple[str, ...]:
    """The table's own columns of the header of a child's file."""
    lead = len(LEAD) if tuple(header[: len(LEAD)]) == LEAD else 0
    return tuple(map(unguarded, header[lead:])) if lead else tuple(header)


def plain(spec: TaskSpec) -> TaskSpec:
    """The task as its restored rows have it."""
    return replace(spec, header=names(spec.header)) if is_repair(spec) else spec


def delimiter_of(head: bytes) -> str | None:
    """What separates the columns of a table to repair, None where these bytes begin no such table."""
    match = _FIRST_LINE.match(head)
    return match[2].decode() if match else None


def check_columns(spec: TaskSpec, parent: TaskSpec) -> None:
    """Raises InvalidRequest where a table to repair has not the columns it was given."""
    wanted = plain(parent).header
    if is_repair(spec) and plain(spec).header != wanted:
        raise InvalidRequest(
            f"The columns after {', '.join(LEAD)} must be those of task {spec.parent_id}, in their order: "
            f"{', '.join(wanted)[:1000]}. Repair the values and leave the header as it is.",
            "parent_id",
        )


def restored(spec: TaskSpec, rows: ChunkRows) -> ChunkRows:
    """The rows of a repaired table as their own table would have them; other rows as they are."""
    if not is_repair(spec):
        return rows
    lead = len(LEAD)
    waiting = [at for at, row in enumerate(rows.rows) if any(value.startswith(OPEN) for value in row[lead:])]
    reason = f"a cell begins with {OPEN}: put in what is right there, and send the row in again"
    rows = rows.without(waiting, "not-repaired", reason)
    return replace(rows, rows=[[unguarded(value) for value in row[lead:]] for row in rows.rows])


async def repair_table(machine: Machine, task: Task, group: str | None = None) -> AsyncIterator[bytes]:
    """The rejected rows of a task, or those of one fingerprint, as CSV in UTF-8, line by line."""
    columns = plain(task.spec).header
    yield csv_line([*LEAD, *map(guarded, columns)])
    async for note in rejections(machine, task.id, group=group):
        reason = f"{note.reason} ({note.code})"
        yield csv_line([str(note.row), guarded(reason), *_cells(task.spec, note, len(columns))])


def _cells(spec: TaskSpec, note: Rejection, width: int) -> list[str]:
    """A cell for each column; what is missing, surplus, unreadable or cut says so."""
    if (
        note.start is not None
        and note.end is not None
        and note.end - note.start > CONTENT_BYTES + len("\r\n")
    ):
        cut = f"{OPEN} cut, the record is bytes {note.start} to {note.end}: {note.content}"
        return [cut, *[MISSING] * (width - 1)]
    cells = _parsed(spec, note.content)
    if cells is None:
        whole = guarded(note.content) if width > 1 else f"{OPEN} {note.content}"
        return [whole, *[MISSING] * (width - 1)]
    if note.code == "not-utf8":
        cells = [f"{OPEN} not UTF-8: {cell}" if _ESCAPED_BYTE.search(cell) else cell for cell in cells]
    if len(cells) > width:
        surplus = spec.dialect.delimiter.join(cells[width - 1 :])
        return [*cells[: width - 1], f"{OPEN} too many: {surplus}"]
    return cells + [MISSING] * (width - len(cells))


def _parsed(spec: TaskSpec, content: str) -> list[str] | None:
    """The record's values, guarded; None where it cannot be parsed."""
    try:
        rows = list(parse(content, spec.dialect.delimiter, spec.max_record_bytes))
    except csv.Error:
        return None
    if len(rows) != 1:
        return None
    if not is_repair(spec):
        return [guarded(value) for value in rows[0]]
    return [v if v.startswith(OPEN) else guarded(unguarded(v)) for v in rows[0][len(LEAD) :]]


def csv_line(cells: list[str]) -> bytes:
    """A record of a table; half a surrogate pair, which is no UTF-8, is escaped."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "backslashreplace")
