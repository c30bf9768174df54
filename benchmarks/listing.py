"""`GET /tasks` and `GET /status` on a ledger of thousands of ended tasks, idle and under load."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.findings import Findings, Goal, Plot, Table, at_most, number
from benchmarks.latency import Latency, Rounds
from benchmarks.ledger_seed import Seeded, seed_ledger
from benchmarks.load import OVERHEAD, Load, measure
from benchmarks.loads import STATUS_MS
from benchmarks.section import Section, Sizes
from benchmarks.service import Service, serving
from benchmarks.table import write_table
from tests.servers import postgres

DURABLE = {"fsync": "on", "full_page_writes": "on"}
"""As a PostgreSQL is that somebody relies on."""

QUESTIONS = 400
A_SECOND = 20.0
"""Fewer than the dearest answers that can be given: beyond that the queue would be measured."""
TASKS_MS = 50.0
TASKS = "/api/v1/tasks"


@dataclass(frozen=True, slots=True)
class Listing:
    """Answer times by what was asked, on an idle service and beside the load, and what that load cost."""

    tasks: int
    chunks: int
    ledger_mb: float
    idle: dict[str, Latency]
    load: Load

    @property
    def tasks_busy(self) -> Latency:
        return self.load.beside[TASKS]


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Listing]]:
    tables = folder / "tables"
    tables.mkdir()
    write_table(tables / "rows.csv", sizes.listing_rows)
    for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        with (
            opened(folder / name, sizes.tasks) as (url, seeded, size),
            serving(folder / name, tables, OVERHEAD | {"LEDGER_URL": url}) as service,
        ):
            yield name, _ask(service, tables / "rows.csv", seeded, size)


@contextmanager
def _sqlite(folder: Path, tasks: int) -> Iterator[tuple[str, Seeded, float]]:
    """A ledger with so many tasks: its address, what it holds, and its size in MB."""
    path = folder / "data" / "ledger.db"
    path.parent.mkdir(parents=True)
    seeded = seed_ledger(f"sqlite:///{path}", tasks)
    yield f"sqlite:///{path}", seeded, path.stat().st_size / 1e6


@contextmanager
def _postgresql(_folder: Path, tasks: int) -> Iterator[tuple[str, Seeded, float]]:
    """The same in a PostgreSQL of its own, which knows its tables as one does that has long been at work."""
    with postgres.running(**DURABLE) as server:
        seeded = seed_ledger(server.url, tasks)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        yield server.url, seeded, row[0] / 1e6 if row else 0.0


def _ask(service: Service, table: Path, seeded: Seeded, ledger_mb: float) -> Listing:
    last_page = _last_page(service, len(seeded.ids))
    idle = {
        "GET /tasks": TASKS,
        "GET /tasks?limit=200": f"{TASKS}?limit=200",
        "GET /tasks?status=failed": f"{TASKS}?status=failed",
        "GET /tasks, last page": last_page,
        "GET /status of the first task": f"/api/v1/status/{seeded.ids[0]}",
        "GET /status of the last task": f"/api/v1/status/{seeded.ids[-1]}",
    }
    answered = {name: _latency(service, path) for name, path in idle.items()}
    load = measure(service, table, [TASKS])
    return Listing(len(seeded.ids), seeded.chunks, ledger_mb, answered, load)


def _last_page(service: Service, count: int) -> str:
    """The path of the last page of fifty. Raises RuntimeError unless the pages hold each task once."""
    path, ids = TASKS, list[str]()
    while True:
        page = json.loads(service.caller.get(path))
        ids += [task["task_id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        path = f"{TASKS}?cursor={page['next_cursor']}"
    if not len(set(ids)) == len(ids) == count:
        raise RuntimeError(f"{count} tasks were put into the ledger, {len(set(ids))} are listed")
    return path


def _latency(service: Service, path: str) -> Latency:
    rounds, samples = Rounds(A_SECOND), list[float]()
    for _ in range(QUESTIONS):
        began = rounds.next()
        service.caller.get(path)
        samples.append(1000 * (time.perf_counter() - began))
    return Latency.of(samples)


def _present(readings: Mapping[str, Listing]) -> Findings:
    tables = [_table(name, listing) for name, listing in readings.items()]
    return Findings(tables, _goals(readings), [_plot(name, listing) for name, listing in readings.items()])


def _table(name: str, listing: Listing) -> Table:
    load = listing.load
    return Table(
        ("asked", "while", "answers", "p50, ms", "p99, ms", "worst, ms"),
        [[f"`{asked}`", meanwhile, *_figures(latency)] for asked, meanwhile, latency in _all(listing)],
        f"A ledger on {name} of {listing.tasks:,} ended tasks with {listing.chunks:,} chunks "
        f"({listing.ledger_mb:,.0f} MB). The task that runs beside it has {load.rows:,} rows and costs "
        f"the worker {load.cpu_us_a_row:.1f} µs of CPU a row; others used {load.others:.0%} of the CPU.",
    )


def _all(listing: Listing) -> Iterator[tuple[str, str, Latency]]:
    for asked, latency in listing.idle.items():
        yield asked, "idle", latency
    yield "GET /tasks", "a task runs", listing.tasks_busy
    yield "GET /status of the task that runs", "a task runs", listing.load.status


def _figures(latency: Latency) -> list[str]:
    return [f"{latency.samples:,}", *map(number, (latency.p50, latency.p99, latency.worst))]


def _plot(name: str, listing: Listing) -> Plot:
    lines = {
        f"{asked}, {meanwhile}, {name}": latency.tail()
        for asked, meanwhile, latency in _all(listing)
        if meanwhile != "idle" or asked == "GET /tasks"
    }
    return Plot(
        "listing", f"Answers on a ledger of {listing.tasks:,} tasks", "answer time, ms",
        "share of the answers that took longer, %", lines, "xy",
        ("goal for GET /tasks: at most 1 % beyond 50 ms", TASKS_MS),
    )  # fmt: skip


def _goals(readings: Mapping[str, Listing]) -> list[Goal]:
    return [goal for name in ("SQLite", "PostgreSQL") for goal in _goals_on(name, readings.get(name))]


def _goals_on(ledger: str, listing: Listing | None) -> list[Goal]:
    full = listing if listing and (listing.tasks, listing.load.rows) == (10_000, 1_000_000) else None
    name = f"{ledger} with 10,000 tasks, one more of 1,000,000 rows at work"
    return [
        at_most(f"{name}: `GET /tasks` p99", TASKS_MS, "ms", lambda one: one.tasks_busy.p99, full),
        at_most(f"{name}: `GET /status` p99", STATUS_MS, "ms", lambda one: one.load.status.p99, full),
    ]


SECTION = Section("listing", "A ledger of ten thousand tasks", Listing, _measure, _present)
