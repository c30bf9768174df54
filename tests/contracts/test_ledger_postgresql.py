"""What the ledger on PostgreSQL promises beyond the contract: lost answers, servers that go and come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import TypeVar

import psycopg
import pytest

from rowvec.errors import LeaseLost, NotConfigured, Unavailable
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import ChunkFiles, Claim, Counts, Flag, TaskState
from tests.contracts.ledger_kit import READ, number_of, plan, plan_claim, planned_task, spec, totals, worker
from tests.servers import postgres, wire
from tests.servers.postgres import PASSWORD, PostgresServer
from tests.servers.wire import Wire

pytestmark = pytest.mark.anyio


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with postgres.running() as server:
        yield server


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.new_schema()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[SqlLedger]:
    made = SqlLedger(url)
    await made.ready()
    await made.enlist(worker("w"))
    yield made
    await made.close()


@pytest.fixture
def line(postgres_server: PostgresServer) -> Iterator[Wire]:
    with wire.to(postgres_server.port) as made:
        yield made


@pytest.fixture
async def far(url: str, line: Wire, postgres_server: PostgresServer) -> AsyncIterator[SqlLedger]:
    """The ledger of `ledger`, at the other end of `line`."""
    made = SqlLedger(url.replace(f":{postgres_server.port}/", f":{line.port}/"))
    yield made
    await made.close()


# Answers that are lost


async def test_lost_answer_to_a_commit(ledger: SqlLedger, far: SqlLedger, line: Wire) -> None:
    """It landed once: whoever repeats it hears LeaseLost, and the counts are there once."""
    task = await planned_task(ledger, 2)
    (claim,) = await ledger.claim("w", 1)
    line.cut_at(b"COMMIT")
    with pytest.raises(Unavailable):
        await far.commit(task.id, 0, claim.fence, READ, ChunkFiles())
    with pytest.raises(LeaseLost):
        await far.commit(task.id, 0, claim.fence, READ, ChunkFiles())
    after = await ledger.task(task.id)
    assert (line.cuts, after.counts, after.chunks_done) == (1, READ, 1)


@pytest.mark.parametrize("key", [None, "k"])
async def test_lost_answer_to_a_submission(
    ledger: SqlLedger, far: SqlLedger, line: Wire, key: str | None
) -> None:
    """Whoever submits again gets the task that is there, and there is one."""
    line.cut_at(b"COMMIT")
    with pytest.raises(Unavailable):
        await far.submit(spec(), key)
    again = await far.submit(spec(), key)
    assert [task.id for task in (await ledger.tasks()).tasks] == [again.task.id]


async def test_lost_answer_to_a_claim(ledger: SqlLedger, far: SqlLedger, line: Wire) -> None:
    """The next claim begins with what was given unheard, and nothing is given twice."""
    await planned_task(ledger, 5)
    line.cut_at(b"COMMIT")
    with pytest.raises(Unavailable):
        await far.claim("w", 2)
    claims = await far.claim("w", 3)
    assert [(number_of(claim), claim.fence) for claim in claims] == [(0, 1), (1, 1), (2, 1)]
    assert [number_of(claim) for claim in await far.claim("w", 9)] == [3, 4]


async def test_late_claim(ledger: SqlLedger, far: SqlLedger, line: Wire, url: str) -> None:
    """A claim whose COMMIT is still on its way when the worker asks again is waited for."""
    await planned_task(ledger, 4)
    line.cut_at(b"COMMIT", late=True)
    with pytest.raises(Unavailable):
        await far.claim("w", 2)
    again = asyncio.create_task(far.claim("w", 3))
    await until_somebody_waits(url)
    line.deliver()
    assert [number_of(claim) for claim in await again] == [0, 1, 2]


async def test_unheard_claim_of_the_buried(ledger: SqlLedger, far: SqlLedger, line: Wire) -> None:
    """What was taken back meanwhile is not handed out as if it were still held."""
    await planned_task(ledger, 2)
    line.cut_at(b"COMMIT")
    with pytest.raises(Unavailable):
        await far.claim("w", 1)
    assert await ledger.bury(["w"]) == 1
    assert await far.claim("w", 2) == []
    await ledger.enlist(worker("v"))
    assert [claim.fence for claim in await ledger.claim("v", 2)] == [2, 1]


async def test_connection_lost_before_the_commit(ledger: SqlLedger, far: SqlLedger, line: Wire) -> None:
    """Nothing landed, so that it is simply done again on another connection; nobody hears of it."""
    task = await planned_task(ledger, 1)
    (claim,) = await far.claim("w", 1)
    line.cut_at(b"UPDATE tasks")
    await far.commit(task.id, 0, claim.fence, READ, ChunkFiles())
    assert (line.cuts, (await ledger.task(task.id)).counts) == (1, READ)


# Rows that others hold


CHANGES: dict[str, Callable[[SqlLedger, Claim, Claim], Awaitable[object]]] = {
    "commit": lambda ledger, _, chunk: ledger.commit(chunk.task.id, 0, chunk.fence, READ, ChunkFiles()),
    "give up": lambda ledger, _, chunk: ledger.give_up(chunk.task.id, 0, chunk.fence, "no"),
    "append": lambda ledger, plan_of, _: ledger.append_chunks(plan_of.task.id, plan_of.fence, [plan(1)]),
    "planned": lambda ledger, plan_of, _: ledger.planned(plan_of.task.id, plan_of.fence, totals(1)),
    "release": lambda ledger, plan_of, _: ledger.release(plan_of.task.id, plan_of.fence, "no", 0.0),
    "fail": lambda ledger, plan_of, _: ledger.fail(plan_of.task.id, plan_of.fence, "no"),
    "flag": lambda ledger, plan_of, _: ledger.flag(plan_of.task.id, Flag.PAUSE),
    "bury": lambda ledger, *_: ledger.bury(["w"]),
    "retire": lambda ledger, *_: ledger.retire("w"),
}


@pytest.mark.parametrize("change", list(CHANGES))
async def test_nothing_is_built_on_what_another_changes(ledger: SqlLedger, url: str, change: str) -> None:
    """Whoever changes a task waits for the one before, and begins with what that one left."""
    plan_of = await plan_claim(ledger)
    await ledger.append_chunks(plan_of.task.id, plan_of.fence, [plan(0)])
    (chunk,) = await ledger.claim("w", 1)
    with psycopg.connect(url) as other:
        other.execute("UPDATE tasks SET version = 1000, blank_lines = 7")
        waiting = asyncio.ensure_future(CHANGES[change](ledger, plan_of, chunk))
        await until_somebody_waits(url)
    await waiting
    assert (await ledger.task(plan_of.task.id)).version > 1000


async def test_sweep_looks_twice(ledger: SqlLedger, url: str) -> None:
    """A worker whose late beat is just being written is alive."""
    with psycopg.connect(url) as other:
        other.execute("UPDATE workers SET beat_at = 0")
    with psycopg.connect(url) as other:
        other.execute("UPDATE workers SET beat_at = %s", [await ledger.now()])
        sweeping = asyncio.ensure_future(ledger.sweep(60))
        await until_somebody_waits(url)
    assert await sweeping == 0
    assert [worker.id for worker in await ledger.workers()] == ["w"]


async def until_somebody_waits(url: str) -> None:
    """For a lock that another transaction holds."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(url, autocommit=True) as connection:
        async with asyncio.timeout(30):
            while connection.execute(waits).fetchone() == (0,):
                await asyncio.sleep(0.01)


# Servers that go and come


async def test_restart_in_the_middle_of_work(own_server: PostgresServer) -> None:
    """Killed and started again again and again under two workers: every chunk is committed once."""
    ledger = SqlLedger(own_server.url)
    await ledger.ready()
    await ledger.enlist(worker("w"))
    task = await planned_task(ledger, 60)
    await ledger.enlist(worker("v"))
    working = [asyncio.create_task(work_off(ledger, name, task.id)) for name in ("w", "v")]
    for done, end in ((10, own_server.kill), (25, own_server.stop), (40, own_server.kill)):
        await until_done(ledger, task.id, done)
        await asyncio.to_thread(end)
        await asyncio.to_thread(own_server.start)
    async with asyncio.timeout(60):
        await asyncio.gather(*working)
    ended = await ledger.task(task.id)
    await ledger.close()
    assert (ended.state, ended.chunks_done) == (TaskState.SETTLING, 60)
    assert ended.counts == sum([READ] * 60, Counts())


async def work_off(ledger: SqlLedger, name: str, task_id: str) -> None:
    """Claim and commit until all is done; what the ledger cannot answer is asked again."""
    while (await weather(lambda: ledger.task(task_id))).chunks_done < 60:
        for claim in await weather(lambda: ledger.claim(name, 2)):
            if claim.chunk is not None:
                commit = (task_id, number_of(claim), claim.fence, READ, ChunkFiles())
                try:
                    await weather(partial(ledger.commit, *commit))
                except LeaseLost:
                    continue  # it landed before, and its answer was lost


T = TypeVar("T")


async def weather(call: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(0.02)


async def until_done(ledger: SqlLedger, task_id: str, chunks: int) -> None:
    async with asyncio.timeout(60):
        while (await weather(lambda: ledger.task(task_id))).chunks_done < chunks:
            await asyncio.sleep(0.01)


async def test_server_that_is_away(own_server: PostgresServer) -> None:
    """Everything is Unavailable, in words that say where and never hold the password, until it is back."""
    ledger = SqlLedger(own_server.url)
    await ledger.ready()
    task = (await ledger.submit(spec())).task
    own_server.kill()
    for call in (ledger.ping, ledger.ready, lambda: ledger.submit(spec("b")), lambda: ledger.claim("w", 1)):
        with pytest.raises(
            Unavailable, match=f"127.0.0.1:{own_server.port}/postgres does not answer"
        ) as caught:
            await call()
        assert PASSWORD not in repr(caught.value)
    own_server.start()
    assert await ledger.task(task.id) == task
    await ledger.close()


async def test_event_loop_goes_on(ledger: SqlLedger, url: str) -> None:
    """While one transaction waits for another's, everything else in the process goes on."""
    task = await planned_task(ledger, 1)
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM tasks FOR UPDATE")
        waiting = asyncio.create_task(ledger.finish_if_done(task.id))
        await until_somebody_waits(url)
        assert await ledger.task(task.id) == task
        assert await ledger.beat("w", 0)
        assert not waiting.done()
    await waiting


async def test_who_stops_in_a_transaction_keeps_nobody_from_taking_over(ledger: SqlLedger, url: str) -> None:
    """A process that is stopped, or a host that is lost, with the burials in its hands: they are taken from
    it before a short lease has run out, and it hears of it."""
    stopped = SqlLedger(url)
    held, goes_on = threading.Event(), threading.Event()

    def stop(book: Book) -> None:
        book.alone("burials")
        held.set()
        goes_on.wait()

    stopping = asyncio.create_task(stopped._write(stop))
    await asyncio.to_thread(held.wait)
    try:
        async with asyncio.timeout(20):
            assert await ledger.sweep(60.0) == 0
    finally:
        goes_on.set()
    with pytest.raises(Unavailable):
        await stopping
    await stopped.close()


async def test_patience_ends(ledger: SqlLedger, url: str) -> None:
    """A row that somebody holds for ever is Unavailable after a while."""
    task = await planned_task(ledger, 1)
    impatient = SqlLedger(url, busy_seconds=0.5)
    with psycopg.connect(url) as other:
        other.execute("SELECT * FROM tasks FOR UPDATE")
        with pytest.raises(
            Unavailable, match="does not answer: canceling statement due to statement timeout"
        ):
            await impatient.finish_if_done(task.id)
    await impatient.close()


# Addresses


@pytest.mark.parametrize(
    "bad", ["wrong", "postgresql://u:{}@127.0.0.1:1/x", "postgresql+psycopg://u:{}@127.0.0.1:1/x"]
)
async def test_secret_stays_secret(bad: str, url: str) -> None:
    """A refused password, and a server that is not there: the words name the place and no secret."""
    secret = "hush-hush"
    ledger = SqlLedger(url.replace(PASSWORD, secret) if bad == "wrong" else bad.format(secret))
    with pytest.raises(Unavailable) as caught:
        await ledger.ready()
    said = repr(caught.value) + repr(caught.value.__cause__) + repr(vars(ledger))
    assert "127.0.0.1:" in said
    assert secret not in said
    await ledger.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush%zz@h/d",
        "postgresql://u:hush@hush@h/d",
        "postgresql://u:hush/hush@h/d",
        "postgresql://u:12/hush@h/d",
        "postgresql://u:hush@h/d?hush=1",
    ],
)
def test_address_that_is_none(url: str) -> None:
    """What cannot be read is refused when it is opened, without a word of what it holds."""
    with pytest.raises(NotConfigured) as caught:
        SqlLedger.open(url, {})
    assert "hush" not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_address_with_options(url: str) -> None:
    """Whatever libpq takes may stand in it: several hosts, of which one answers, and encoded signs."""
    where = url.replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:").replace(
        PASSWORD, PASSWORD.replace("-", "%2D")
    )
    ledger = SqlLedger(where)
    await ledger.ready()
    await ledger.ping()
    await ledger.close()


async def test_tables_that_are_missing(url: str) -> None:
    """A database that nobody made ready is Unavailable, in words."""
    ledger = SqlLedger(url)
    with pytest.raises(Unavailable, match='relation "tasks" does not exist'):
        await ledger.ping()
    await ledger.close()


async def test_clock_is_the_servers(ledger: SqlLedger, url: str) -> None:
    """All hosts go by one clock, whatever their own say."""
    before = server_time(url)
    task = (await ledger.submit(spec())).task
    (alive,) = await ledger.workers()
    now = await ledger.now()
    assert alive.beat_at <= before <= task.created_at <= now <= server_time(url)


def server_time(url: str) -> float:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    assert row is not None
    return float(row[0])
