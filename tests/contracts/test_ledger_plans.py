"""What a SQL ledger asks of its database stays cheap with ten thousand tasks: its plans say so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select

from rowvec.ledgers.sql import SqlLedger
from rowvec.ledgers.sql.postgresql import Postgresql
from rowvec.ledgers.sql.sqlite import Sqlite
from rowvec.ledgers.sql.tables import chunks, tasks
from rowvec.model import ChunkFiles, ChunkState, Flag, TaskState
from tests.contracts.ledger_kit import READ, SQL, number_of, planned_task, spec, worker

pytestmark = pytest.mark.anyio

TASKS, EVERY = 10_000, 500
"""How many tasks there are; one of EVERY is at work, the others have ended."""


class Crowd:
    """A crowded ledger, of which all statements are heard."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger
        database = ledger._database
        assert isinstance(database, Postgresql | Sqlite)
        self._engine = database._engine
        glancing = [database._glancing_engine] if isinstance(database, Sqlite) else []
        self._engines = [self._engine, *glancing]
        self._heard: list[tuple[str, Any]] = []

    async def fill(self) -> None:
        await self.ledger.ready()
        await self.ledger.enlist(worker("w"))
        task = await planned_task(self.ledger, 1)
        with self._engine.begin() as connection:
            connection.execute(insert(tasks), _tasks_like(_row(connection, tasks)))
            connection.execute(insert(chunks), _chunks_like(_row(connection, chunks)))
            if connection.dialect.name == "postgresql":
                # As it does by itself now and then; SQLite never does.
                connection.exec_driver_sql("ANALYZE")
        await self.ledger.flag(task.id, Flag.CANCEL)
        self.cursor = (await self.ledger.tasks()).cursor
        for engine in self._engines:
            event.listen(engine, "before_cursor_execute", self._hear)

    def _hear(
        self, _c: object, _cursor: object, statement: str, parameters: Any, _x: object, many: bool
    ) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and " FROM pg_" not in statement:
            self._heard.append((statement, parameters[0] if many else parameters))

    async def plans(self, call: Callable[[], Awaitable[object]]) -> list[str]:
        """How the database goes about each step of what this call asks."""
        self._heard.clear()
        await call()
        heard, found = [*self._heard], []
        explain = "EXPLAIN" if self._engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        with self._engine.begin() as connection:
            for statement, parameters in heard:
                if "clock_timestamp" in statement or "advisory" in statement:
                    continue
                rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
                found += [str(row[-1]).strip(" ->") for row in rows]
        return found


def _row(connection: Connection, table: Any) -> dict[str, Any]:
    return dict(connection.execute(select(table)).mappings().one())


def _tasks_like(row: dict[str, Any]) -> list[dict[str, Any]]:
    del row["position"]
    states = [TaskState.COMPLETED.value if n % EVERY else TaskState.PROCESSING.value for n in range(TASKS)]
    return [
        row | {"id": f"t{n}", "fingerprint": f"f{n}", "state": state, "seen": state}
        for n, state in enumerate(states)
    ]


def _chunks_like(row: dict[str, Any]) -> list[dict[str, Any]]:
    done, ready = ChunkState.DONE.value, ChunkState.READY.value
    at_work = [(f"t{n}", number) for n in range(0, TASKS, EVERY) for number in range(300)]
    ended = [(f"t{n}", number) for n in range(TASKS) if n % EVERY for number in range(2)]
    return [
        row | {"task_id": task, "number": number, "state": ready if number > 50 else done}
        for task, number in at_work + ended
    ]


def whole_tables(plans: list[str]) -> list[str]:
    """Steps that read all of the tasks or all of the chunks; `SCAN … USING INDEX` goes along an index."""
    return [
        step
        for step in plans
        if step.startswith(("Seq Scan on tasks", "Seq Scan on chunks"))
        or (step.startswith(("SCAN tasks", "SCAN chunks")) and "USING" not in step)
    ]


@pytest.fixture(scope="module", params=sorted(SQL))
async def crowd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Crowd]:
    folder: Path = tmp_path_factory.mktemp("crowd")
    made = Crowd(SqlLedger(SQL[request.param](folder), clock=lambda: 1_000.0))
    await made.fill()
    yield made
    await made.ledger.close()


ASKED: dict[str, Callable[[Crowd], Awaitable[object]]] = {
    "status": lambda crowd: crowd.ledger.task("t777"),
    "next page": lambda crowd: crowd.ledger.tasks(50, crowd.cursor),
    "page at work": lambda crowd: crowd.ledger.tasks(state="processing"),
    "page completed": lambda crowd: crowd.ledger.tasks(state="completed"),
    "chunks": lambda crowd: crowd.ledger.chunks("t500", 100),
    "chunks in a state": lambda crowd: crowd.ledger.chunks("t500", 100, 60, ChunkState.READY),
    "chunks with rejected rows": lambda crowd: crowd.ledger.rejecting("t500"),
    "children": lambda crowd: crowd.ledger.children("t500"),
    "around": lambda crowd: crowd.ledger.around("t500"),
    "submit": lambda crowd: crowd.ledger.submit(spec("new")),
    "submit with a key": lambda crowd: crowd.ledger.submit(spec("new"), "key"),
    "flag": lambda crowd: crowd.ledger.flag("t1000", Flag.PAUSE),
    "resume": lambda crowd: crowd.ledger.flag("t1000", Flag.RESUME),
    "marks": lambda crowd: crowd.ledger.marks("t500"),
    "retry some": lambda crowd: crowd.ledger.retry_chunks("t1000", [1, 2]),
    "beat": lambda crowd: crowd.ledger.beat("w", 1),
    "sweep": lambda crowd: crowd.ledger.sweep(60),
    "bury": lambda crowd: crowd.ledger.bury(["nobody"]),
}


@pytest.mark.parametrize("asked", list(ASKED))
async def test_goes_by_an_index(crowd: Crowd, asked: str) -> None:
    """None of what is asked reads a whole table."""
    plans = await crowd.plans(lambda: ASKED[asked](crowd))
    assert plans
    assert whole_tables(plans) == []


async def test_work_goes_by_an_index(crowd: Crowd) -> None:
    """Nor does claiming, asking for the lease, committing and handing back."""
    ledger = crowd.ledger
    plans = await crowd.plans(lambda: ledger.claim("w", 8, lambda _: 4))
    chunk, other = [claim for claim in await ledger.claim("w", 2) if claim.chunk]
    plans += await crowd.plans(lambda: ledger.holds("w", chunk))
    commit = (chunk.task.id, number_of(chunk), chunk.fence, READ, ChunkFiles())
    plans += await crowd.plans(lambda: ledger.commit(*commit))
    back = (other.task.id, number_of(other), other.fence, "again", 0.0)
    plans += await crowd.plans(lambda: ledger.hand_back(*back))
    assert len(plans) > 10
    assert whole_tables(plans) == []


async def test_a_whole_table_is_noticed(crowd: Crowd) -> None:
    """The judge of the tests above knows a bad plan when it sees one."""

    async def careless() -> None:
        with crowd._engine.begin() as connection:
            connection.execute(select(tasks).where(tasks.c.created_at == 7.0)).all()

    assert len(whole_tables(await crowd.plans(careless))) == 1
