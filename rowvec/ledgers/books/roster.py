"""Who works, within one transaction: workers come, beat, leave in peace or are buried."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from rowvec.ledgers.books import rules
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.lifecycle import finish
from rowvec.model import ChunkState, WorkerInfo


def enlist(book: Book, worker: WorkerInfo) -> None:
    book.put_worker(replace(worker, beat_at=book.now, alive=True))


def beat(book: Book, worker: str, holding: int) -> bool:
    known = book.worker(worker)
    if known is None:
        return False
    book.put_worker(replace(known, holding=holding, beat_at=book.now))
    return True


def bury(book: Book, workers: Collection[str]) -> int:
    return sum(_bury(book, worker) for worker in set(workers))


def _bury(book: Book, worker: str) -> int:
    book.drop_worker(worker)
    plans = book.held_by(worker)
    for entry in plans:
        finish(book, book.save(entry, rules.crashed(entry, book.now)))
    chunks = [rules.orphaned(chunk) for chunk in book.claimed_by(worker)]
    book.put_chunks(chunks)
    for chunk in chunks:
        before = book.entry(chunk.task_id)
        gave_up = chunk.state is ChunkState.FAILED
        finish(book, book.save(before, rules.count_failed(before, chunk) if gave_up else before))
    return len(plans) + len(chunks)


def retire(book: Book, worker: str) -> None:
    book.drop_worker(worker)
    for entry in book.held_by(worker):
        finish(book, book.save(entry, rules.let_go(entry)))
    chunks = [rules.back(chunk, None, 0.0) for chunk in book.claimed_by(worker)]
    book.put_chunks(chunks)
    for task_id in {chunk.task_id for chunk in chunks}:
        finish(book, book.entry(task_id))


def sweep(book: Book, lease_seconds: float) -> int:
    silent = [worker.id for worker in book.workers() if book.now - worker.beat_at > lease_seconds]
    taken_back = bury(book, silent)
    for entry in book.finishable():
        finish(book, entry)
    return taken_back
