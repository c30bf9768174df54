"""What a task will have come to, as its first rows suggest."""

from __future__ import annotations

from dataclasses import dataclass

from rowvec.ledgers.base import Ledger
from rowvec.model import Task


@dataclass(frozen=True, slots=True)
class Forecast:
    """Rows of the whole table, tokens and dollars of all of them; None where nothing suggests it yet."""

    rows: int | None = None
    tokens: int | None = None
    dollars: float | None = None


async def forecast(ledger: Ledger, task: Task, price: float) -> Forecast:
    """`price` is in dollars per million tokens. One more read of the ledger while the scan goes on."""
    if task.state.ended:
        return Forecast()
    rows = task.rows_planned if task.planned else await _rows(ledger, task)
    if rows is None or not task.counts.accounted:
        return Forecast(rows)
    tokens = round(task.counts.tokens * rows / task.counts.accounted)
    return Forecast(rows, tokens, tokens * price / 1e6)


async def _rows(ledger: Ledger, task: Task) -> int | None:
    """In proportion to the bytes that were scanned, where the table is the source itself."""
    size, start = task.spec.source.size, task.spec.data_start
    if not task.chunks_total or not size or task.spec.dialect.copied:
        return None
    last = await ledger.chunks(task.id, 1, task.chunks_total - 2)
    scanned = last[0].plan.end - start if last else 0
    return round(task.rows_planned * (size - start) / scanned) if scanned > 0 else None
