"""Rejected rows as files: JSON lines as they are, CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, fields

from rowvec.rejection import Rejection

COLUMNS = [column.name for column in fields(Rejection)]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def as_jsonl(rows: AsyncIterator[Rejection]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield json.dumps(asdict(row)).encode() + b"\n"


async def as_csv(rows: AsyncIterator[Rejection]) -> AsyncIterator[bytes]:
    yield _line(COLUMNS)
    async for row in rows:
        yield _line([_cell(getattr(row, name)) for name in COLUMNS])


def _cell(value: str | int | None) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "backslashreplace")
