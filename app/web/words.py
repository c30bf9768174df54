"""Numbers, times and states as people say them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.api.status import StatusView
from rowvec.gates import UNTIL
from rowvec.model import Chunk, ChunkState

NONE = "–"


def number(value: float | None) -> str:
    """With separators; at most one decimal, below ten."""
    if value is None:
        return NONE
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{round(value):,}"


def percent(share: float | None) -> str:
    """Never 100 % before all is there, nor 0 % once something is."""
    if share is None:
        return NONE
    hundredths = share * 100
    if 0 < hundredths < 0.1:
        return "<\u00a00.1\u00a0%"
    return f"{math.floor(hundredths * 10) / 10:g}\u00a0%"


def size(count: float | None) -> str:
    """Bytes, in units of 1,000."""
    if count is None:
        return NONE
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def dollars(value: float | None) -> str:
    if value is None:
        return NONE
    return "< $0.01" if 0 < value < 0.01 else f"${value:,.2f}"


def duration(seconds: float | None) -> str:
    """The two largest units."""
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    total = round(seconds)
    for unit, length, below, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if total >= length:
            rest = total % length // part
            return f"{total // length} {unit} {rest} {below}" if rest else f"{total // length} {unit}"
    return f"{total} s"


def moment(when: datetime | float | None) -> str:
    """In UTC, to the second."""
    if when is None:
        return NONE
    at = when if isinstance(when, datetime) else datetime.fromtimestamp(when, UTC)
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(when: datetime | None) -> str:
    """For `<time datetime>`."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if when else ""


def many(count: int, word: str) -> str:
    """One of them, or several: `word` takes an s."""
    return f"{number(count)} {word}" if count == 1 else f"{number(count)} {word}s"


def rows(count: int) -> str:
    return many(count, "row")


@dataclass(frozen=True, slots=True)
class State:
    """A state in words. `icon` and `tone` go with the word and never stand for it."""

    word: str
    icon: str
    tone: str


STATES = {
    "pending": State("Waiting", "clock", "calm"),
    "processing": State("Running", "play", "busy"),
    "paused": State("Paused", "pause", "warn"),
    "cancelling": State("Cancelling", "stop", "calm"),
    "completed": State("Completed", "check", "good"),
    "partly": State("Completed in part", "partly", "warn"),
    "failed": State("Failed", "cross", "bad"),
    "cancelled": State("Cancelled", "stop", "calm"),
}
STAGES = {"planning": "finding its rows", "processing": "embedding", "settling": "checking for doubles"}


def state(view: StatusView) -> State:
    """A completed task that left rows out is told apart from one that did not."""
    partly = view.status == "completed" and view.conservation.rejected
    return STATES["partly" if partly else view.status]


@dataclass(frozen=True, slots=True)
class Situation:
    """Must somebody act? `tone` is that of a State."""

    headline: str
    words: str
    tone: str


WILL_RESOLVE = "Will resolve itself"
NEEDS_YOU = "Needs you"
NOTHING = "Nothing for you to do"


def situation(view: StatusView, workers: int) -> Situation:
    """What a task waits for, with so many workers alive."""
    if view.status == "failed":
        told = view.error or "The task failed."
        return Situation(NEEDS_YOU, f"{told} What has landed stays; retry does the rest again.", "bad")
    if view.status == "paused":
        why = view.hold_reason or "paused on request"
        return Situation(NEEDS_YOU, f"{_sentence(why)} Resume goes on where it stopped.", "warn")
    if view.status == "cancelling":
        return Situation(WILL_RESOLVE, "Chunks at work end first; then the task is cancelled.", "calm")
    if view.status in ("completed", "cancelled"):
        return _ended(view)
    if not workers:
        told = "No worker is alive. The task is safe and begins once one is started."
        return Situation(NEEDS_YOU, told, "warn")
    if view.waits_for and view.waits_for.endswith(UNTIL):
        return Situation(NEEDS_YOU, view.waits_for, "warn")
    if view.waits_for:
        return Situation(WILL_RESOLVE, view.waits_for, "busy")
    if view.status == "pending":
        return Situation(WILL_RESOLVE, "Waits for its turn; a worker takes it up by itself.", "calm")
    return Situation(NOTHING, _running(view), "busy")


def _ended(view: StatusView) -> Situation:
    rejected = view.conservation.rejected
    if view.status == "cancelled":
        return Situation(NOTHING, _sentence(view.outcome or view.status), "calm")
    if rejected:
        told = f"{rows(rejected)} could not be embedded. See why, repair them and send them in again."
        return Situation(NEEDS_YOU, told, "warn")
    return Situation(NOTHING, _sentence(view.outcome or view.status), "good")


def _running(view: StatusView) -> str:
    if view.progress.total_records is None:
        return "The table is still being scanned; work on its first rows has begun."
    if view.stage == "settling":
        return "All rows are in. Doubles across chunks are being merged."
    return "Rows are being embedded and stored."


def _sentence(text: str) -> str:
    told = text[:1].upper() + text[1:]
    return told if told.endswith((".", "!", "?")) else f"{told}."


CHUNK_STATES = {
    "ready": State("Ready", "clock", "calm"),
    "waiting": State("Waits to be tried again", "clock", "warn"),
    "claimed": State("At work", "play", "busy"),
    "done": State("Done", "check", "good"),
    "partly": State("Done, rows rejected", "partly", "warn"),
    "failed": State("Failed", "cross", "bad"),
}


def chunk_state(chunk: Chunk) -> State:
    """A chunk that left rows out is told apart, as is one that failed before and is tried again."""
    if chunk.state is ChunkState.DONE and chunk.counts.rejected:
        return CHUNK_STATES["partly"]
    again = chunk.state is ChunkState.READY and chunk.error
    return CHUNK_STATES["waiting" if again else chunk.state.value]


def took(chunk: Chunk) -> float | None:
    """Seconds from its last claim to its end."""
    if chunk.started_at is None or chunk.ended_at is None:
        return None
    return max(0.0, chunk.ended_at - chunk.started_at)


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "percent": percent,
    "bytes": size,
    "dollars": dollars,
    "duration": duration,
    "moment": moment,
    "iso": iso,
    "rows": rows,
    "many": many,
    "state": state,
    "chunk_state": chunk_state,
    "took": took,
}
