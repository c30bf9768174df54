"""How a task stands or ended, in lines that add up, and the exit code that it means."""

from __future__ import annotations

from app.api.status import StatusView
from app.cli.exits import Exit
from app.cli.progress import clock

OUTCOMES = ("upserted", "unchanged", "filtered", "duplicate", "rejected", "unprocessed")


def summary(view: StatusView) -> str:
    """A few lines for a person; the second is the law of conservation with its numbers."""
    lines = [f"task {view.task_id}: {view.status}", law(view)]
    if view.outcome:
        lines[0] += f" ({view.outcome})"
    if view.started_at and view.completed_at:
        seconds = (view.completed_at - view.started_at).total_seconds()
        speed = f", {view.conservation.read / seconds:,.0f} rows/s" if seconds > 0 else ""
        lines.append(f"took {clock(seconds)}{speed}; namespace {view.namespace}")
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
