"""How many chunks a second a ledger hands out and takes back, over one connection and over several.

`python -m benchmarks.ledger_rates` prints a table for SQLite, for a PostgreSQL of its own that writes as
durably as a real one does, and for any other ledger whose address is given. docs/decisions/0013 has one.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from rowvec.ledgers.base import Ledger
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import ChunkFiles, Counts, PlannedChunk, Totals, WorkerInfo
from rowvec.spec import Dialect, SourcePin, TaskSpec
from tests.servers import postgres

CONNECTIONS = (1, 2, 4, 8)
SECONDS = 3.0
CHUNKS = 2_000
"""Of each task: more than are worked through in SECONDS."""
ROWS = 1_000
_DONE = Counts(read=ROWS, upserted=ROWS, passages=ROWS, tokens=80 * ROWS, embedded=ROWS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_rates", description=__doc__)
    parser.add_argument("url", nargs="*", help="LEDGER_URL of other ledgers, which are left with the tasks")
    for url in parser.parse_args().url:
        _tell(url.partition(":")[0], [url] * 2 * len(CONNECTIONS))
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        _tell("sqlite", [f"sqlite:///{folder}/{number}.db" for number in range(2 * len(CONNECTIONS))])
    with _durable_postgresql() as server:
        _tell("postgresql", [server.new_schema() for _ in range(2 * len(CONNECTIONS))])


def _tell(name: str, urls: list[str]) -> None:
    fresh = iter(urls)
    for tasks in (1, max(CONNECTIONS)):
        rates = [(n, _rate(next(fresh), n, tasks)) for n in CONNECTIONS]
        told = ", ".join(f"{n}: {rate:,.0f}" for n, rate in rates)
        print(f"{name}, chunks of {tasks} task{'s' * (tasks > 1)} a second by connections: {told}")


@contextmanager
def _durable_postgresql() -> Iterator[postgres.PostgresServer]:
    with postgres.running(fsync="on", full_page_writes="on") as server:
        yield server


def _rate(url: str, connections: int, tasks: int) -> float:
    """Pairs of a claim and a commit a second, of so many processes that each do one after the other."""
    asyncio.run(_fill(url, tasks))
    spawn = multiprocessing.get_context("spawn")
    start, done = spawn.Barrier(connections), spawn.Queue()
    every = [spawn.Process(target=_run, args=(url, f"w{n}", start, done)) for n in range(connections)]
    for process in every:
        process.start()
    pairs: int = sum(done.get(timeout=60) for _ in every)
    for process in every:
        process.join()
    return pairs / SECONDS


async def _fill(url: str, tasks: int) -> None:
    """So many tasks in processing, with CHUNKS chunks each."""
    ledger = SqlLedger(url)
    await ledger.ready()
    await ledger.enlist(_worker("filler"))
    for number in range(tasks):
        task = (await ledger.submit(_spec(number), None)).task
        [claim] = await ledger.claim("filler", 1)
        chunks = [
            PlannedChunk(n, n * 10, n * 10 + 10, n * ROWS + 1, n * ROWS + 2, ROWS) for n in range(CHUNKS)
        ]
        await ledger.append_chunks(task.id, claim.fence, chunks)
        await ledger.planned(task.id, claim.fence, Totals(CHUNKS * ROWS, CHUNKS * 10, 0, CHUNKS))
    await ledger.close()


def _run(url: str, name: str, start: Barrier, done: Queue[int]) -> None:
    done.put(asyncio.run(_claim_and_commit(SqlLedger(url), name, start)))


async def _claim_and_commit(ledger: Ledger, name: str, start: Barrier) -> int:
    await ledger.ready()
    await ledger.enlist(_worker(name))
    start.wait(60)
    pairs, until = 0, time.monotonic() + SECONDS
    while time.monotonic() < until:
        [claim] = await ledger.claim(name, 1)
        if claim.chunk is None:
            raise RuntimeError("the tasks have too few chunks for this ledger: raise CHUNKS")
        await ledger.commit(claim.task.id, claim.chunk.plan.number, claim.fence, _DONE, ChunkFiles())
        pairs += 1
    await ledger.close()
    return pairs


def _worker(name: str) -> WorkerInfo:
    return WorkerInfo(name, "here", 1, 1.0, 16)


def _spec(number: int) -> TaskSpec:
    source = SourcePin("local", f"{number}.csv", str(number), CHUNKS * 10)
    return TaskSpec(
        source, ("id", "text"), 8, 2, Dialect(), ROWS, 1 << 20, f"n{number}", "memory", "memory-8", 8,
        id_column="id", text_columns=("text",),
    )  # fmt: skip


if __name__ == "__main__":
    main()
