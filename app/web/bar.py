"""What became of a task's rows, as the parts of a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.api.status import StatusView

WIDTH = 1000.0
LEAST = 10.0
"""A part of fewer is not seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """From `start`, `width` wide, of WIDTH; `name` is an outcome."""

    name: str
    start: float
    width: float


def parts(view: StatusView) -> list[Part]:
    """Of all rows that are known to exist, in the order of the law; what is open is left empty."""
    law = view.conservation
    failed = max(0, view.progress.failed_records - law.rejected)
    counts = {
        "upserted": law.upserted + law.unchanged,
        "duplicate": law.duplicate,
        "filtered": law.filtered,
        "rejected": law.rejected,
        "failed": failed,
    }
    found, start = list[Part](), 0.0
    for name, width in _widths(counts, max(law.read, 1)).items():
        found.append(Part(name, round(start, 2), round(width, 2)))
        start += width
    return found


def _widths(counts: Mapping[str, int], read: int) -> dict[str, float]:
    """Of those that are not 0. What few rows need to be seen is taken from the widest."""
    widths = {name: max(LEAST, WIDTH * count / read) for name, count in counts.items() if count}
    if widths:
        widest = max(widths, key=lambda name: widths[name])
        over = sum(widths.values()) - WIDTH * sum(counts.values()) / read
        widths[widest] = max(LEAST, widths[widest] - over)
    return widths


def share_done(view: StatusView) -> float | None:
    """Of 0 to 1; None while the scan goes on, since then the whole is not known."""
    law, total = view.conservation, view.progress.total_records
    if total is None:
        return None
    return 1.0 if not total else (law.read - law.unprocessed) / total
