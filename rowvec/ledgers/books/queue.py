"""What the keys of one account have used, and whether they may use more, within one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from rowvec.errors import LimitReached
from rowvec.ledgers.books.book import Book, Drawn

COUNTING_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Draw:
    """So many of an account, in the period of `every` seconds that it is now; 0: for good."""

    account: str
    amount: int
    most: int
    every: float = 0.0


def used(book: Book, account: str, every: float, now: float) -> int:
    there = book.drawn(account)
    return there.used if there is not None and there.period == _period(now, every) else 0


def draw(book: Book, wish: Draw) -> bool:
    book.alone(f"account {wish.account}")
    after = used(book, wish.account, wish.every, book.now) + wish.amount
    if wish.amount > 0 and after > wish.most:
        return False
    book.put_drawn(wish.account, Drawn(_period(book.now, wish.every), after))
    return True


def enter(book: Book, account: str, most: int) -> None:
    """Raises LimitReached where the tasks of that account have as many rows to do as they may.

    Nobody knows the rows of a table that has not been counted: until then no other task is taken, so that a
    queue is over its limit by the rows of one table at most.
    """
    book.alone(f"account {account}")
    turnstile = f"queue {account}"
    passed = used(book, turnstile, 0.0, book.now)
    tasks = [entry.task for entry in book.unended() if entry.task.spec.account == account]
    if any(not task.planned for task in tasks):
        raise LimitReached(
            "The rows of this key's last table are being counted. Submit the next one when that is done.",
            COUNTING_SECONDS,
        )
    rows = sum(task.unprocessed for task in tasks)
    if rows >= most:
        raise LimitReached(
            f"This key's tasks have {rows} rows to do; it may queue {most}. Submit again when some are done.",
            COUNTING_SECONDS,
        )
    # Written by everyone who enters, so that of two at once one is asked to look again.
    book.put_drawn(turnstile, Drawn(0, passed + 1))


def _period(now: float, every: float) -> int:
    return int(now // every) if every else 0
