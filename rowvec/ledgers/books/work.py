"""What workers do with pieces of work, within one transaction: take them, and bring them back."""

from __future__ import annotations

from collections import Counter

from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books import rules
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.lifecycle import finish
from rowvec.ledgers.books.rules import Entry
from rowvec.model import Chunk, ChunkFiles, Claim, Counts, TaskState, WorkKind


def claim(book: Book, worker: str, most: int, most_per_task: Allowance | None) -> list[Claim]:
    if most < 1 or book.worker(worker) is None:
        return []
    claims = _take_tasks(book, worker, WorkKind.PLAN, most)
    claims += _take_tasks(book, worker, WorkKind.SETTLE, most - len(claims))
    claims += _take_chunks(book, worker, most - len(claims), most_per_task)
    return claims


_STATES = {
    WorkKind.PLAN: (TaskState.PENDING, TaskState.PLANNING),
    WorkKind.SETTLE: (TaskState.SETTLING,),
}


def _take_tasks(book: Book, worker: str, kind: WorkKind, most: int) -> list[Claim]:
    claims = []
    for entry in book.idle(_STATES[kind], most) if most else ():
        task = book.save(entry, rules.taken(entry, worker, book.now)).task
        claims.append(Claim(kind, task, task.fence))
    return claims


def _take_chunks(book: Book, worker: str, most: int, most_per_task: Allowance | None) -> list[Claim]:
    if most < 1:
        return []
    turns = rules.share(book.shelves(worker, most, most_per_task), most)
    wanted = Counter(task.id for task in turns)
    piles = {task_id: iter(book.take(task_id, number)) for task_id, number in wanted.items()}
    taken = [(task, next(piles[task.id], None)) for task in turns]
    dealt = [(task, rules.dealt(chunk, worker, book.now)) for task, chunk in taken if chunk is not None]
    book.put_chunks([chunk for _, chunk in dealt])
    return [Claim(WorkKind.CHUNK, task, chunk.fence, chunk) for task, chunk in dealt]


def commit(book: Book, task_id: str, number: int, fence: int, counts: Counts, files: ChunkFiles) -> None:
    entry, chunk = _claimed(book, task_id, number, fence)
    book.put_chunks([rules.done(chunk, counts, files, book.now)])
    finish(book, book.save(entry, rules.count_done(entry, counts, book.now)))


def hand_back(
    book: Book, task_id: str, number: int, fence: int, error: str | None, not_before: float
) -> None:
    entry, chunk = _claimed(book, task_id, number, fence)
    book.put_chunks([rules.back(chunk, error, not_before)])
    finish(book, entry)


def give_up(book: Book, task_id: str, number: int, fence: int, error: str) -> None:
    entry, chunk = _claimed(book, task_id, number, fence)
    failed = rules.given_up(chunk, error, book.now)
    book.put_chunks([failed])
    finish(book, book.save(entry, rules.count_failed(entry, failed, book.now)))


def _claimed(book: Book, task_id: str, number: int, fence: int) -> tuple[Entry, Chunk]:
    """The chunk with its task, which comes first because it holds them both.

    Raises UnknownTask, and LeaseLost unless the chunk is claimed under this fence.
    """
    entry, chunk = book.entry(task_id), book.chunk(task_id, number)
    if chunk is None or not rules.is_claimed(chunk, fence):
        raise rules.lost(task_id, number)
    return entry, chunk


def holds(book: Book, worker: str, claim: Claim) -> bool:
    if book.worker(worker) is None:
        return False
    if claim.chunk is not None:
        chunk = book.chunk(claim.task.id, claim.chunk.plan.number)
        return chunk is not None and chunk.worker == worker and rules.is_claimed(chunk, claim.fence)
    entry = book.find(claim.task.id)
    if entry is None or entry.task.worker != worker:
        return False
    return any(rules.is_under(entry.task, state, claim.fence) for state in _STATES[claim.kind])
