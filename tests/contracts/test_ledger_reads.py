"""Small reads of a SQL ledger that wait together: one transaction for them all, and each its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from rowvec.errors import Unavailable, UnknownTask
from rowvec.ledgers.base import Around
from rowvec.ledgers.sql import SqlLedger
from rowvec.ledgers.sql.book import SqlBook
from tests.contracts.ledger_kit import SQL, new_postgresql, spec, worker

pytestmark = pytest.mark.anyio
Look = Callable[[SqlBook], Any]


@pytest.fixture(params=sorted(SQL))
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlLedger]:
    ledger = SqlLedger(SQL[request.param](tmp_path))
    await ledger.ready()
    yield ledger
    await ledger.close()


@asynccontextmanager
async def waiting(ledger: SqlLedger, *looks: Look) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """All of them asked for while others take every thread; these are let go in the end."""
    ahead, go = list[asyncio.Task[None]](), Event()
    try:
        for _ in range(ledger._database.lookers):  # one by one: those that wait together share a thread
            begun = Event()
            ahead.append(asyncio.create_task(ledger._reads.read(partial(keep, begun, go))))
            assert await asyncio.to_thread(begun.wait, 60)
        behind = [asyncio.create_task(ledger._reads.read(look)) for look in looks]
        await asyncio.sleep(0)  # they have begun, and wait
        yield behind
    finally:
        go.set()
    await asyncio.gather(*ahead)
    await asyncio.gather(*behind, return_exceptions=True)


def keep(begun: Event, go: Event, _: SqlBook) -> None:
    begun.set()
    assert go.wait(60)


def which(book: SqlBook) -> int:
    """The book, and so its transaction."""
    return id(book)


async def test_those_that_wait_together_share_a_transaction(ledger: SqlLedger) -> None:
    """In the order in which they came."""
    order: list[int] = []

    def look(number: int, book: SqlBook) -> int:
        order.append(number)
        return which(book)

    async with waiting(ledger, *(partial(look, number) for number in range(5))) as reading:
        assert not any(one.done() for one in reading)
    assert len({one.result() for one in reading}) == 1
    assert order == [0, 1, 2, 3, 4]


async def test_they_see_what_was_there_when_they_asked(ledger: SqlLedger) -> None:
    """A task submitted before they were asked for, while they could have shared an older view."""
    async with waiting(ledger) as none:
        task = (await ledger.submit(spec("a"))).task
        look = asyncio.create_task(ledger._reads.read(lambda book: book.entry(task.id).task))
        await asyncio.sleep(0)
    assert none == []
    assert await look == task


async def family(ledger: SqlLedger) -> tuple[str, str, str]:
    """A task, a child of it, and a task beside them."""
    parent = (await ledger.submit(spec("parent"))).task.id
    child = (await ledger.submit(replace(spec("child"), parent_id=parent))).task.id
    other = (await ledger.submit(spec("other"))).task.id
    return parent, child, other


async def test_what_is_around_several_tasks_is_the_same_as_around_each(ledger: SqlLedger) -> None:
    """A child that is asked for itself, too, is a child once; a task that is not there spoils no other."""
    tasks = await family(ledger)
    await ledger.enlist(worker("w"))
    await ledger.pause_provider("openai", "by hand")
    alone = [await ledger.around(task) for task in tasks]
    async with waiting(ledger) as _:
        together = [asyncio.create_task(ledger.around(task)) for task in (*tasks, "nobody")]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*together, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Around, Around, Around, UnknownTask]
    seen = [answer for answer in answers if isinstance(answer, Around)]
    assert [replace(one, now=0.0) for one in seen] == [replace(one, now=0.0) for one in alone]
    assert [[child.id for child in one.children] for one in alone] == [[tasks[1]], [], []]
    assert all(one.workers and one.pauses for one in alone)


async def test_what_is_around_twenty_tasks_takes_no_more_statements_than_around_one(tmp_path: Path) -> None:
    """On PostgreSQL, where each is a way to the server: the tasks and their children, workers, pauses."""
    ledger = SqlLedger(new_postgresql(tmp_path))
    await ledger.ready()
    tasks = [(await ledger.submit(spec(f"{number}"))).task.id for number in range(20)]
    said: list[str] = []
    async with waiting(ledger) as _:
        together = [asyncio.create_task(ledger.around(task)) for task in tasks]
        await asyncio.sleep(0)
        event.listen(
            ledger._database._engine,  # type: ignore[attr-defined]
            "before_cursor_execute",
            lambda _1, _2, statement, *_3: said.append(statement),
        )
    assert [around.task.id for around in await asyncio.gather(*together)] == tasks
    assert len([one for one in said if one.startswith("SELECT")]) == 3
    await ledger.close()


def no_such_task(book: SqlBook) -> None:
    book.entry("nobody")


def bad_query(book: SqlBook) -> None:
    """PostgreSQL gives up the whole transaction for it."""
    is_sqlite = book._connection.dialect.name == "sqlite"
    book._connection.exec_driver_sql("SELECT ?" if is_sqlite else "SELECT 1 / 0")


def nonsense(_: SqlBook) -> None:
    raise KeyError("nonsense")


@pytest.mark.parametrize(
    ("fault", "error"),
    [(no_such_task, UnknownTask), (bad_query, DBAPIError), (nonsense, KeyError)],
)
async def test_one_at_fault_spoils_no_other(ledger: SqlLedger, fault: Look, error: Any) -> None:
    """Whatever it is, only who asked for it hears of it."""
    async with waiting(ledger, which, fault, which) as reading:
        pass
    with pytest.raises(error):
        reading[1].result()
    assert isinstance(reading[0].result(), int) and isinstance(reading[2].result(), int)
    assert isinstance(await ledger._reads.read(which), int)


async def test_one_that_is_given_up_is_not_made(ledger: SqlLedger) -> None:
    """And keeps no thread: the others are answered."""
    seen: list[str] = []
    async with waiting(ledger, lambda _: seen.append("a"), lambda _: seen.append("b")) as reading:
        reading[0].cancel()
        await asyncio.wait(reading[:1])
    assert seen == ["b"]
    assert reading[0].cancelled() and reading[1].done()


async def test_no_answer_is_read_twice_when_a_connection_breaks(tmp_path: Path) -> None:
    """What was answered before stays; the rest is read again, over another connection."""
    ledger, seen = SqlLedger(new_postgresql(tmp_path)), list[str]()
    await ledger.ready()

    def breaks_once(book: SqlBook) -> str:
        seen.append("breaks")
        if seen.count("breaks") == 1:
            book._connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return "whole"

    async with waiting(ledger, lambda _: seen.append("first"), breaks_once) as reading:
        pass
    assert seen == ["first", "breaks", "breaks"]
    assert reading[1].result() == "whole"
    await ledger.close()


async def test_a_server_that_is_away_answers_nobody() -> None:
    """All that wait hear of it, in words."""
    ledger = SqlLedger("postgresql://u:p@127.0.0.1:1/x", busy_seconds=1)
    answers = await asyncio.gather(*(ledger._reads.read(which) for _ in range(5)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}
    await ledger.close()
