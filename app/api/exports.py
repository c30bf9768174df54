"""Rejected rows as files: JSON lines as they are, CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, fields

from rowvec.rejection import Rejection
from rowvec.repair import csv_line

COLUMNS = [column.name for column in fields(Rejection)]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def as_jsonl(rows: AsyncIterator[Rejection]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield json.dumps(asdict(row)).encode() + b"\n"


async def as_csv(rows: AsyncIterator[Rejection]) -> AsyncIterator[bytes]:
    yield csv_line(COLUMNS)
    async for row in rows:
        yield csv_line([_cell(getattr(row, name)) for name in COLUMNS])


def _cell(value: str | int | None) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
