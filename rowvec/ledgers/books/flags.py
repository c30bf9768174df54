"""What a caller may ask of a task: pause, resume, cancel, retry, as pure functions of its entry."""

from __future__ import annotations

from dataclasses import replace

from rowvec.errors import WrongState
from rowvec.ledgers.books import rules
from rowvec.ledgers.books.rules import Entry
from rowvec.model import Flag, Hold, Task, TaskState


def flagged(entry: Entry, flag: Flag, reason: str | None) -> Entry:
    """The entry after a caller's wish; unchanged when it is so already. Raises WrongState."""
    match flag:
        case Flag.PAUSE:
            return _pause(entry, reason)
        case Flag.RESUME:
            return _resume(entry)
        case Flag.CANCEL:
            return _cancel(entry, reason)
        case Flag.RETRY:
            return _retry(entry)


def _refuse(task: Task, flag: Flag) -> WrongState:
    return WrongState(f"Task {task.id} is {rules.seen_as(task)}: {flag.value} is not possible.")


def _pause(entry: Entry, reason: str | None) -> Entry:
    task = entry.task
    if task.state.ended or task.hold is Hold.CANCELLING:
        raise _refuse(task, Flag.PAUSE)
    return entry if task.hold else entry.evolve(hold=Hold.PAUSED, reason=reason)


def _resume(entry: Entry) -> Entry:
    task = entry.task
    if task.state.ended or task.hold is Hold.CANCELLING:
        raise _refuse(task, Flag.RESUME)
    return replace(entry.evolve(hold=Hold.NONE, reason=None), not_before=0.0) if task.hold else entry


def _cancel(entry: Entry, reason: str | None) -> Entry:
    task = entry.task
    if task.state in (TaskState.COMPLETED, TaskState.FAILED):
        raise _refuse(task, Flag.CANCEL)
    already = task.state is TaskState.CANCELLED or task.hold is Hold.CANCELLING
    return entry if already else entry.evolve(hold=Hold.CANCELLING, reason=reason)


def _retry(entry: Entry) -> Entry:
    again = back_to_work(entry)
    return again if again is entry else again.evolve(chunks_failed=0, rows_failed=0)


def back_to_work(entry: Entry) -> Entry:
    """A failed task goes on; one that is at work is left as it is. Raises WrongState for all others."""
    task = entry.task
    if rules.seen_as(task) == rules.PROCESSING:
        return entry
    if task.state is not TaskState.FAILED:
        raise _refuse(task, Flag.RETRY)
    again = entry.evolve(
        state=TaskState.PROCESSING if task.planned else TaskState.PLANNING,
        error=None,
        completed_at=None,
        attempts=0,
    )
    return replace(again, crashes=0, not_before=0.0)
