"""How a task stands or ended, in lines that add up, and the exit code that it means."""

from __future__ import annotations

from app.api.status import AnalysisView, StatusView
from app.cli.exits import Exit
from app.cli.progress import clock
from app.cli.screen import shortened

OUTCOMES = ("upserted", "unchanged", "filtered", "duplicate", "rejected", "unprocessed")


def summary(view: StatusView) -> str:
    """A few lines for a person; the second is the law of conservation with its numbers, then the table."""
    lines = [f"task {view.task_id}: {view.status}", law(view), *table(view.analysis)]
    if view.outcome:
        lines[0] += f" ({view.outcome})"
    if view.started_at and view.completed_at:
        seconds = (view.completed_at - view.started_at).total_seconds()
        speed = f", {view.conservation.read / seconds:,.0f} rows/s" if seconds > 0 else ""
        lines.append(f"took {clock(seconds)}{speed}; namespace {view.namespace}")
    if view.waits_for:
        lines.append(f"waits: {view.waits_for}")
    if view.status == "paused":
        lines.append(f"why: {view.hold_reason}")
        lines.append(f"go on with: ./vectordb resume {view.task_id}")
    if view.error:
        lines.append(f"why: {view.error}")
        lines.append(f"try what failed again with: ./vectordb retry {view.task_id}")
    if view.conservation.rejected:
        lines.append(f"rejected rows and why: ./vectordb rejected {view.task_id}")
    if view.with_children and view.children:
        both, born = view.with_children, len(view.children)
        times = "1 repair" if born == 1 else f"{born} repairs"
        lines.append(f"with {times} of it: {both.upserted:,} upserted, {both.rejected:,} open")
    return "\n".join(lines)


def table(found: AnalysisView) -> list[str]:
    """Two lines: how the table is spelt, and what it holds, as far as that is known."""
    spelling = " ".join(filter(None, (found.encoding, found.compression)))
    names = shortened(", ".join(found.columns), 80)
    columns = f"{len(found.columns)} columns separated by {found.delimiter!r} ({names})"
    lines = [f"table: {found.bytes:,} bytes of {spelling}; {columns}"]
    if found.rows is None or found.memory_estimate_bytes is None:
        return [*lines, f"not scanned to its end yet; chunks of up to {found.chunk_size:,} rows"]
    blank = f" and {found.blank_lines:,} blank lines" if found.blank_lines else ""
    size = "" if found.text_bytes == found.bytes else f"{found.text_bytes:,} bytes as UTF-8; "
    return [
        *lines,
        f"{size}{found.rows:,} rows{blank} in {found.chunks:,} chunks of up to {found.chunk_size:,}, "
        f"about {found.memory_estimate_bytes / 1e6:,.1f} MB each in memory",
    ]


def law(view: StatusView) -> str:
    """`5,421 rows read = 5,420 upserted + 1 rejected`; outcomes that no row had are left out."""
    counts = view.conservation
    parts = [f"{getattr(counts, name):,} {name}" for name in OUTCOMES if getattr(counts, name)]
    return f"{counts.read:,} rows read = {' + '.join(parts) or '0'}"


def exit_of_task(view: StatusView) -> Exit:
    """What a task that goes no further means for the exit code."""
    if view.status != "completed":
        return Exit.FAILED
    return Exit.REJECTED if view.conservation.rejected else Exit.DONE
