"""Who works, within one transaction: workers come, beat, leave in peace or are buried."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from rowvec.ledgers.base import Overview
from rowvec.ledgers.books import rules
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.lifecycle import finish
from rowvec.model import Chunk, ChunkState, WorkerInfo
from rowvec.tally import Tally
from rowvec.usage import Usage

_BURIALS = "burials"
"""Who takes work back from workers holds several tasks at once, so only one does it at a time."""


def enlist(book: Book, worker: WorkerInfo) -> None:
    book.put_worker(replace(worker, beat_at=book.now, alive=True))


def beat(book: Book, worker: str, holding: int, waits: Mapping[str, str], usage: Usage) -> bool:
    known = book.worker(worker)
    if known is None:
        return False
    book.put_worker(replace(known, holding=holding, beat_at=book.now, waits=dict(waits), usage=usage))
    return True


def bury(book: Book, workers: Collection[str]) -> int:
    book.alone(_BURIALS)
    return sum(_bury(book, worker) for worker in sorted(set(workers)))


def _bury(book: Book, worker: str) -> int:
    left = _left_behind(book, worker)
    book.drop_worker(worker)
    plans = book.held_by(worker)
    for entry in plans:
        finish(book, book.save(entry, rules.crashed(entry, book.now)))
    orphans = [_orphan(book, worker, task_id) for task_id in book.tasks_of(worker)]
    _keep(book, sum(map(_taken_back, orphans), left))
    return len(plans) + sum(map(len, orphans))


def _left_behind(book: Book, worker: str) -> Tally:
    """What it told last; nothing of one that is not there, whose work is kept already."""
    known = book.worker(worker)
    return Tally() if known is None else known.usage.tally


def _taken_back(chunks: Sequence[Chunk]) -> Tally:
    failed = [chunk for chunk in chunks if chunk.state is ChunkState.FAILED]
    rows = {"failed": sum(chunk.plan.rows for chunk in failed)}
    return Tally(rows, {"taken_back": len(chunks), "failed": len(failed)})


def _keep(book: Book, more: Tally) -> None:
    if more != Tally():
        book.put_departed(book.departed() + more)


def _orphan(book: Book, worker: str, task_id: str) -> list[Chunk]:
    entry = book.entry(task_id)
    chunks = [rules.orphaned(chunk, book.now) for chunk in book.claimed_by(worker, task_id)]
    book.put_chunks(chunks)
    for chunk in chunks:
        if chunk.state is ChunkState.FAILED:
            entry = book.save(entry, rules.count_failed(entry, chunk, book.now))
    finish(book, entry)
    return chunks


def retire(book: Book, worker: str) -> None:
    book.alone(_BURIALS)
    _keep(book, _left_behind(book, worker))
    book.drop_worker(worker)
    for entry in book.held_by(worker):
        finish(book, book.save(entry, rules.let_go(entry)))
    for task_id in book.tasks_of(worker):
        entry = book.entry(task_id)
        book.put_chunks([rules.back(chunk, None, 0.0) for chunk in book.claimed_by(worker, task_id)])
        finish(book, entry)


def sweep(book: Book, lease_seconds: float) -> int:
    book.alone(_BURIALS)

    def is_silent(worker: WorkerInfo | None) -> bool:
        return worker is not None and book.now - worker.beat_at > lease_seconds

    silent = [worker.id for worker in book.workers() if is_silent(worker)]
    taken_back = sum(_bury(book, worker) for worker in silent if is_silent(book.worker(worker)))
    for entry in book.finishable():
        finish(book, entry)
    return taken_back


def overview(book: Book, now: float) -> Overview:
    workers = book.workers()
    tally = sum((worker.usage.tally for worker in workers), book.departed())
    return Overview(now, book.counted(), book.slowest(), workers, tally)
