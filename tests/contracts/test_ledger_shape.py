"""The shape of a SQL ledger: made, brought up to date, or refused, by many at once, and never half."""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.synchronize
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, create_engine, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from rowvec.api_key import ApiKey
from rowvec.errors import NotConfigured, Unavailable
from rowvec.ledgers.sql import SqlLedger, shape, tables
from rowvec.model import ChunkState, TaskState
from rowvec.usage import Usage
from tests.contracts.ledger_kit import READ, SQL, planned_task, spec, worker
from tests.contracts.test_ledger_sql import run_all
from tests.servers import postgres

pytestmark = pytest.mark.anyio

OLD = Path(__file__).parent / "old_ledgers"
"""What ledgers of the time before shapes had numbers held, with one task half done."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    return tmp_path


@pytest.fixture(params=sorted(SQL))
def url(request: pytest.FixtureRequest, folder: Path) -> str:
    """An empty ledger."""
    return SQL[request.param](folder)


def on(url: str, do: Callable[[Connection], Any]) -> Any:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.begin() as connection:
            return do(connection)
    finally:
        engine.dispose()


def described(connection: Connection) -> dict[str, Any]:
    """Every table with its columns, keys and indexes, in no order."""
    there = inspect(connection)
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in there.get_columns(table)},
            "key": there.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(unique["column_names"] for unique in there.get_unique_constraints(table)),
            "foreign": sorted(key["referred_table"] for key in there.get_foreign_keys(table)),
            "indexes": {i["name"]: (i["column_names"], where(i)) for i in there.get_indexes(table)},
        }
        for table in there.get_table_names()
    }


def where(index: Any) -> str:
    """Of which rows it is; empty: of all."""
    options = index.get("dialect_options", {})
    return str(options.get("postgresql_where", options.get("sqlite_where", ""))).strip("()")


def climbed(url: str, until: str = "head") -> None:
    """A ledger that began at the first shape and took the steps."""
    on(url, lambda connection: shape.climb(connection, until))


@pytest.mark.parametrize("kind", sorted(SQL))
async def test_steps_lead_to_todays_tables(
    kind: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whether a ledger is new or has grown, its tables are the same: no step was forgotten."""
    old, fresh = SQL[kind](folder), SQL[kind](tmp_path_factory.mktemp("fresh"))
    climbed(old)
    ledger = SqlLedger(fresh)
    await ledger.ready()
    await ledger.close()
    assert on(fresh, described) == on(old, described)
    assert on(old, shape.is_today)


@pytest.mark.parametrize("old", ["first", "second"])
async def test_an_old_ledger_is_taken_over(old: str, tmp_path: Path) -> None:
    """All that was written without a number is still there, and work goes on where it stood."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript((OLD / f"{old}.sql").read_text())
    ledger = SqlLedger(f"sqlite:///{path}", clock=lambda: 1_000.0)
    await ledger.ready()
    (task,) = (await ledger.tasks()).tasks
    assert (task.state, task.counts, task.chunks_done) == (TaskState.PROCESSING, READ, 1)
    assert [chunk.state for chunk in await ledger.chunks(task.id)] == [ChunkState.DONE, ChunkState.READY]
    assert await ledger.keys() == [ApiKey("a", "00", "first", 5.0)]
    await ledger.bind_namespace("default", "hash", 4)
    child = (await ledger.submit(replace(spec("child.csv"), parent_id=task.id))).task
    assert await ledger.children(task.id) == [child]
    assert len(await ledger.claim("w", 5)) == 2
    await ledger.close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT version_num FROM ledger_shape").fetchall() == [(shape.TODAY,)]


async def test_a_process_of_the_version_before_goes_on(url: str) -> None:
    """It knows nothing of the columns that came last: what it writes beside them is read all the same."""
    ledger = SqlLedger(url)
    await ledger.ready()
    await ledger.enlist(worker("new"))
    task = await planned_task(ledger, 2, by="new")
    unknown = ("last_worker", "started_at", "ended_at", "usage")

    def write(connection: Connection, table: Table, key: str, value: object) -> None:
        known = [column for column in table.columns if column.name not in unknown]
        row = connection.execute(select(*known).order_by(table.c[key])).mappings().first()
        before = Table(table.name, MetaData(), *(Column(column.name, column.type) for column in known))
        connection.execute(before.insert(), dict(row or {}) | {key: value})

    on(url, lambda connection: write(connection, tables.chunks, "number", 2))
    on(url, lambda connection: write(connection, tables.workers, "id", "old"))
    assert [(mark.number, mark.started_at) for mark in await ledger.marks(task.id)] == [
        (0, None), (1, None), (2, None),
    ]  # fmt: skip
    assert [one.usage for one in await ledger.workers()] == [Usage(), Usage()]
    assert len(await ledger.claim("old", 9)) == 3
    await ledger.close()


async def test_an_older_shape_climbs(url: str) -> None:
    """A ledger of the first shape comes to today's; a second time there is nothing to do."""
    climbed(url, "0001")
    ledger = SqlLedger(url)
    await ledger.ready()
    await ledger.ready()
    assert (await ledger.submit(spec())).fresh
    await ledger.close()
    assert on(url, shape.is_today)


async def test_a_newer_ledger_is_refused(url: str) -> None:
    """In words that name both shapes; nothing of it is touched."""
    ledger = SqlLedger(url)
    await ledger.ready()
    task = (await ledger.submit(spec())).task
    on(url, lambda connection: connection.execute(update(tables.shape).values(version_num="9999")))
    before = on(url, described)
    with pytest.raises(NotConfigured, match=rf"shape 9999, which a newer version .* up to {shape.TODAY}\."):
        await ledger.ready()
    assert on(url, described) == before
    assert await ledger.task(task.id) == task
    await ledger.close()


async def test_somebody_elses_tables_are_left_alone() -> None:
    """A database with a table of one of our names that is no ledger's is refused, and stays as it is."""
    url = postgres.shared().new_schema()
    on(url, lambda connection: connection.execute(text("CREATE TABLE workers (shift int)")))
    before = on(url, described)
    ledger = SqlLedger(url)
    with pytest.raises(NotConfigured, match=r"has a table 'workers' already.*search_path"):
        await ledger.ready()
    assert on(url, described) == before
    await ledger.close()


def ready_once(url: str, barrier: multiprocessing.synchronize.Barrier) -> None:
    """A process that opens the ledger at the same moment as others."""

    async def run() -> None:
        ledger = SqlLedger(url)
        await ledger.ready()
        await ledger.ping()
        await ledger.close()

    barrier.wait(60)
    asyncio.run(run())


@pytest.mark.parametrize("begin", [None, "0001"])
async def test_processes_at_once(url: str, begin: str | None) -> None:
    """Processes that start together bring one ledger up to date, whether it is empty or old."""
    if begin:
        climbed(url, begin)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(3)
    started = [spawn.Process(target=ready_once, args=(url, barrier)) for _ in range(3)]
    assert await asyncio.to_thread(run_all, started) == [0] * 3
    assert on(url, shape.is_today)


async def test_a_step_that_breaks_leaves_all_as_it_was(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the steps before it, and its own first half, had changed is taken back with it."""
    climbed(url, "0001")
    before = on(url, described)
    steps = tmp_path / "steps"
    shutil.copytree(shape.STEPS, steps)
    (steps / "versions" / "s9999_breaks.py").write_text(
        f'from alembic import op\nrevision, down_revision = "9999", "{shape.TODAY}"\n'
        "def upgrade():\n"
        '    op.execute("ALTER TABLE tasks ADD COLUMN half integer")\n'
        '    op.execute("no SQL at all")\n'
    )
    monkeypatch.setattr(shape, "STEPS", steps)
    ledger = SqlLedger(url)
    with pytest.raises((DBAPIError, Unavailable), match="syntax error"):
        await ledger.ready()
    assert on(url, described) == before
    monkeypatch.undo()
    await ledger.ready()
    await ledger.enlist(worker("w"))
    await ledger.close()


def test_alembic_is_loaded_for_old_ledgers_only(tmp_path: Path) -> None:
    """An embedded service that starts anew, or again, pays nothing for steps that it does not take."""
    script = (
        "import asyncio, sys\n"
        "from rowvec.ledgers.sql import SqlLedger\n"
        f"ledger = SqlLedger('sqlite:///{tmp_path}/ledger.db')\n"
        "asyncio.run(ledger.ready())\n"
        "print('alembic' in sys.modules, 'psycopg' in sys.modules)\n"
    )
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert run.stdout == "False False\n"
