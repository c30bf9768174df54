"""What SQL ledgers promise beyond the contract: processes side by side, and SQLite's failures in words."""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.context
import multiprocessing.queues
import multiprocessing.synchronize
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from rowvec.api_key import ApiKey
from rowvec.backends import load
from rowvec.errors import NotConfigured, Unavailable
from rowvec.ledgers import TABLE
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.ledger import FEW
from rowvec.ledgers.memory import MemoryLedger
from rowvec.ledgers.sql import SqlLedger
from rowvec.ledgers.sql.sqlite import Sqlite, path_of
from rowvec.model import ChunkFiles, Counts, TaskState, WorkKind
from tests.contracts.ledger_kit import READ, SQL, new_sqlite, number_of, planned_task, spec, worker

pytestmark = pytest.mark.anyio


@pytest.fixture(params=sorted(SQL))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return SQL[request.param](tmp_path)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_all_are_in_the_table(tmp_path: Path) -> None:
    """Each backend opens by its line in the table, without touching anything."""
    assert isinstance(load("ledger", TABLE, "memory").open("memory", {}), MemoryLedger)
    for name, url in (("sqlite", new_sqlite(tmp_path)), ("postgresql", "postgresql://u:p@127.0.0.1:1/x")):
        ledger = load("ledger", TABLE, name).open(url, {"busy_seconds": "1"})
        await ledger.close()
        assert isinstance(ledger, SqlLedger)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "x.db"])
async def test_address_that_is_no_file(url: str) -> None:
    """Anything but a file of SQLite is refused when the ledger is opened."""
    with pytest.raises(NotConfigured):
        SqlLedger.open(url, {})


async def test_durable_settings(tmp_path: Path) -> None:
    """The file is in WAL mode, and every connection waits for others and syncs each commit."""
    ledger = SqlLedger(new_sqlite(tmp_path), busy_seconds=7)
    await ledger.ready()
    assert isinstance(ledger._database, Sqlite)
    with ledger._database._engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in pragmas]
    await ledger.close()
    assert found == ["wal", 2, 7_000, 1]


async def test_record_outlives_its_ledger(url: str) -> None:
    """What one ledger wrote, the next one on the same file finds unchanged."""
    first, second = SqlLedger(url), SqlLedger(url)
    await first.ready()
    await first.enlist(worker("w"))
    task = await planned_task(first, 2)
    (claim,) = await first.claim("w", 1)
    await first.commit(task.id, 0, claim.fence, READ, ChunkFiles("m"))
    expected = (await first.task(task.id), await first.chunks(task.id), await first.workers())
    await first.close()
    assert (await second.task(task.id), await second.chunks(task.id), await second.workers()) == expected
    await second.close()


async def test_a_few_rows_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    """What SQLite has at hand is not worth a thread: that of a task, and a page of its chunks."""
    ledger = SqlLedger(new_sqlite(tmp_path))
    await ledger.ready()
    await ledger.enlist(worker("w"))
    task = await planned_task(ledger, 2)
    ledger._readers.shutdown()
    assert (await ledger.around(task.id)).task == await ledger.task(task.id)
    assert len(await ledger.chunks(task.id, limit=FEW)) == 2
    with pytest.raises(RuntimeError):
        await ledger.chunks(task.id, limit=FEW + 1)
    await ledger.close()


async def test_the_loop_waits_for_nobody_who_has_the_file(tmp_path: Path) -> None:
    """While another process has all of it, a read waits on a thread, and the event loop goes on."""
    url = new_sqlite(tmp_path)
    first, second = SqlLedger(url), SqlLedger(url)
    await first.ready()
    task = (await first.submit(spec("a"))).task
    await first.close()
    with closing(sqlite3.connect(path_of(url), isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        reading = asyncio.create_task(second.task(task.id))
        await asyncio.sleep(0)  # the read has begun, and the loop is here
        assert not reading.done()
    assert await reading == task
    await second.close()


async def test_races_between_ledgers(url: str) -> None:
    """Two ledgers on one record agree on one fresh task, one first key, one owner of each chunk."""
    ledgers = SqlLedger(url), SqlLedger(url)
    await asyncio.gather(*(ledger.ready() for ledger in ledgers))
    for round in range(5):
        answers = await asyncio.gather(*(ledger.submit(spec(f"{round}")) for ledger in ledgers * 2))
        assert sum(answer.fresh for answer in answers) == 1
    keys = [ledger.add_key(ApiKey(f"{n}", "00", "k"), only_if_none=True) for n, ledger in enumerate(ledgers)]
    assert sum(await asyncio.gather(*keys)) == 1
    await asyncio.gather(*(ledger.enlist(worker(f"{n}")) for n, ledger in enumerate(ledgers)))
    claims = await asyncio.gather(*(ledger.claim(f"{n}", 3) for n, ledger in enumerate(ledgers)))
    assert Counter(claim.task.id for many in claims for claim in many).most_common(1)[0][1] == 1
    for ledger in ledgers:
        await ledger.close()


def work_alone(
    url: str,
    name: str,
    barrier: multiprocessing.synchronize.Barrier,
    taken: multiprocessing.queues.Queue[list[int]],
) -> None:
    """A process that claims and commits until nothing is left, and says which chunks it took."""

    async def run() -> list[int]:
        ledger, mine = SqlLedger(url), []
        await ledger.enlist(worker(name))
        while chunks := [c for c in await ledger.claim(name, 3) if c.kind is WorkKind.CHUNK]:
            for claim in chunks:
                mine.append(number_of(claim))
                await ledger.commit(claim.task.id, mine[-1], claim.fence, READ, ChunkFiles())
        await ledger.close()
        return mine

    barrier.wait(60)
    taken.put(asyncio.run(run()))


async def test_processes_share_the_work(url: str) -> None:
    """Two processes on one record never get the same chunk, and their commits add up exactly."""
    ledger = SqlLedger(url)
    await ledger.ready()
    await ledger.enlist(worker("w"))
    task = await planned_task(ledger, 60)
    spawn = multiprocessing.get_context("spawn")
    barrier, taken = spawn.Barrier(2), spawn.Queue()
    args = [(url, name, barrier, taken) for name in ("a", "b")]
    started = [spawn.Process(target=work_alone, args=each) for each in args]
    assert await asyncio.to_thread(run_all, started) == [0, 0]
    numbers = [number for _ in started for number in taken.get(timeout=10)]
    assert sorted(numbers) == list(range(60))
    ended = await ledger.task(task.id)
    await ledger.close()
    assert (ended.state, ended.chunks_done) == (TaskState.SETTLING, 60)
    assert ended.counts == sum([READ] * 60, Counts())


def run_all(processes: list[multiprocessing.context.SpawnProcess]) -> list[int | None]:
    """Exit codes; a process that hangs is ended and has a code that is not 0."""
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


async def test_locked_beyond_the_timeout(tmp_path: Path) -> None:
    """A file that another program keeps locked is Unavailable, in words; reading goes on beside it."""
    ledger = SqlLedger(new_sqlite(tmp_path), busy_seconds=0.05)
    await ledger.ready()
    with closing(sqlite3.connect(tmp_path / "deep" / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match=r"ledger\.db does not answer: database is locked"):
            await ledger.submit(spec())
        assert (await ledger.tasks()).tasks == []
    assert (await ledger.submit(spec())).fresh
    await ledger.close()


async def test_not_a_ledger(tmp_path: Path) -> None:
    """A file that is no database, a folder that cannot be, and tables that are missing are Unavailable."""
    (tmp_path / "text").write_text("not a database" * 100)
    for url in (f"sqlite:///{tmp_path / 'text'}", f"sqlite:///{tmp_path / 'text' / 'below' / 'ledger.db'}"):
        ledger = SqlLedger(url)
        with pytest.raises(Unavailable, match="does not answer"):
            await ledger.ready()
        with pytest.raises(Unavailable, match="does not answer"):
            await ledger.ping()
        await ledger.close()
    empty = SqlLedger(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Unavailable, match="no such table"):
        await empty.ping()
    await empty.close()


async def test_failed_write_leaves_no_trace(url: str) -> None:
    """A write that breaks midway is rolled back, and the ledger goes on working."""
    ledger = SqlLedger(url)
    await ledger.ready()

    def breaks(book: Book) -> None:
        book.put_key(ApiKey("a", "00", "half"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ledger._write(breaks)
    assert await ledger.keys() == []
    assert (await ledger.submit(spec())).fresh
    await ledger.close()
