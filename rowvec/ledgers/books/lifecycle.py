"""What happens to a task as a whole, within one transaction: from its submission to its end."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from rowvec.errors import IdempotencyConflict
from rowvec.ledgers.base import Submitted
from rowvec.ledgers.books import queue, rules
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.flags import back_to_work, flagged
from rowvec.ledgers.books.rules import Entry
from rowvec.model import ChunkState, Flag, Hold, PlannedChunk, Task, TaskState, Totals
from rowvec.spec import TaskSpec


def submit(book: Book, spec: TaskSpec, key: str | None, most_queued: int | None) -> Submitted:
    fingerprint = rules.fingerprint(spec)
    stored = None if key is None else rules.stored_key(spec, key)
    book.alone(f"submission {fingerprint if stored is None else stored}")
    earlier = book.running(fingerprint) if stored is None else book.by_key(stored)
    if earlier is None:
        if most_queued is not None:
            queue.enter(book, spec.account, most_queued)
        task = Task(id=str(uuid4()), spec=spec, state=TaskState.PENDING, created_at=book.now)
        return Submitted(book.add(task, fingerprint, stored).task, fresh=True)
    if earlier.fingerprint != fingerprint:
        raise IdempotencyConflict(
            f"The idempotency key '{key}' belongs to task {earlier.task.id}, which was another request. "
            "Use a new key for a new request."
        )
    return Submitted(earlier.task, fresh=False)


def flag(book: Book, task_id: str, wish: Flag, reason: str | None) -> Task:
    before = book.entry(task_id, closed=True)
    after = flagged(before, wish, reason)
    if after == before:
        return before.task
    if wish in (Flag.RESUME, Flag.RETRY):
        after = rules.progressed(after, book.now)
    if wish is Flag.RESUME:
        book.end_waits(task_id)
    if wish is Flag.RETRY:
        book.reopen_failed(task_id)
    return finish(book, book.save(before, after)).task


def retry_chunks(book: Book, task_id: str, numbers: Sequence[int]) -> Task:
    before = book.entry(task_id, closed=True)
    again = back_to_work(before)
    failed = [c for c in book.numbered(task_id, numbers) if c.state is ChunkState.FAILED]
    if not failed:
        return before.task
    book.put_chunks([rules.anew(chunk) for chunk in failed])
    return finish(
        book, book.save(before, rules.progressed(rules.count_reopened(again, failed), book.now))
    ).task


def append(book: Book, task_id: str, fence: int, chunks: Sequence[PlannedChunk]) -> bool:
    """False, and the plan is let go, when the task is on hold. Raises LeaseLost."""
    entry = _planning(book, task_id, fence)
    if entry.task.hold:
        return _drop_plan(book, entry)
    book.save(entry, rules.appended(entry, book.add_chunks(task_id, chunks), book.now))
    return True


def pinned(book: Book, task_id: str, fence: int, spec: TaskSpec) -> bool:
    """False, and the plan is let go, when the task is on hold. Raises LeaseLost."""
    entry = _planning(book, task_id, fence)
    if entry.task.hold:
        return _drop_plan(book, entry)
    book.save(entry, entry.evolve(spec=spec))
    return True


def planned(book: Book, task_id: str, fence: int, totals: Totals) -> bool:
    """False, and the plan is let go, when the task is on hold. Raises LeaseLost."""
    entry = _planning(book, task_id, fence)
    if entry.task.hold:
        return _drop_plan(book, entry)
    finish(book, book.save(entry, rules.planned(entry, totals, book.now)))
    return True


def _planning(book: Book, task_id: str, fence: int) -> Entry:
    entry = book.entry(task_id)
    if not rules.is_under(entry.task, TaskState.PLANNING, fence):
        raise rules.lost(task_id)
    return entry


def _drop_plan(book: Book, entry: Entry) -> bool:
    """The planner is about to hear that it lost its lease; without this nobody would let go of it."""
    finish(book, book.save(entry, rules.let_go(entry)))
    return False


def _held(book: Book, task_id: str, fence: int) -> Entry:
    """The task, planned or settled by a worker under this fence. Raises LeaseLost."""
    entry = book.entry(task_id)
    if not any(rules.is_under(entry.task, s, fence) for s in (TaskState.PLANNING, TaskState.SETTLING)):
        raise rules.lost(task_id)
    return entry


def release(book: Book, task_id: str, fence: int, error: str | None, not_before: float) -> None:
    entry = _held(book, task_id, fence)
    finish(book, book.save(entry, rules.released(entry, error, not_before)))


def settled(book: Book, task_id: str, fence: int, duplicates: int, passages: int) -> None:
    entry = book.entry(task_id)
    if not rules.is_under(entry.task, TaskState.SETTLING, fence):
        raise rules.lost(task_id)
    finish(book, book.save(entry, rules.settled(entry, duplicates, passages, book.now)))


def fail(book: Book, task_id: str, fence: int, error: str) -> None:
    entry = _held(book, task_id, fence)
    finish(book, book.save(entry, rules.failed(entry, error, book.now)))


def finish(book: Book, entry: Entry) -> Entry:
    """Move the task on if its chunks allow it."""
    claimed = book.claimed(entry.task.id) if entry.task.hold is Hold.CANCELLING else 0
    return book.save(entry, rules.finished(entry, claimed, book.now))
