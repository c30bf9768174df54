"""How a ledger forgets a task that has ended, within transactions of bearable size."""

from __future__ import annotations

from rowvec.errors import WrongState
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.register import task_account
from rowvec.model import Task, TaskState

_SEALED = (TaskState.COMPLETED, TaskState.CANCELLED)
"""States that no task ever leaves."""


def seal(book: Book, task_id: str) -> Task:
    entry = book.entry(task_id, closed=True)
    if not entry.task.state.ended:
        raise _at_work(entry.task)
    if entry.task.state in _SEALED:
        return entry.task
    return book.save(entry, entry.evolve(state=TaskState.CANCELLED)).task


def forget(book: Book, task_id: str, most: int) -> bool:
    """Up to so many of its chunks go; False once the task itself has gone with the last of them."""
    entry = book.entry(task_id, closed=True)
    if entry.task.state not in _SEALED:
        raise _at_work(entry.task)
    if book.drop_chunks(task_id, most):
        return True
    book.drop(entry)
    book.drop_drawn(task_account(task_id))
    return False


def _at_work(task: Task) -> WrongState:
    return WrongState(
        f"Task {task.id} is {task.state}, and may go on. Only what is completed or cancelled is forgotten."
    )
