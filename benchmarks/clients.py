"""Two hundred clients at once, with a second's time to think, while workers do what they send in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.crowd import Outcome, crowd
from benchmarks.findings import Findings, Goal, Table, at_most, number
from benchmarks.latency import Latency
from benchmarks.process import Account, cpu_seconds
from benchmarks.production import servers, working
from benchmarks.section import Section, Sizes
from benchmarks.service import Api, serving

STATUS_MS = 200.0
SERVERS = 4
GUNICORN = (
    *(sys.executable, "-m", "gunicorn", "app.main:app", "-w", str(SERVERS)),
    *("-k", "uvicorn.workers.UvicornWorker", "--bind", "127.0.0.1:{port}", "--keep-alive", "75"),
)
FORMS = {"embedded": "SQLite, the embedded worker", "production": "gunicorn, PostgreSQL, Redis, Celery"}


@dataclass(frozen=True, slots=True)
class Crowd:
    """`lost` counts accepted tasks without an end that fits, `errors` answers of 500 and above, `strange`
    those that no client expected. CPU in seconds of all processes of a kind; `others` as in Load."""

    clients: int
    seconds: float
    requests: int
    accepted: int
    cancelled: int
    lost: int
    errors: int
    strange: int
    drained_after: float
    api_cpu: float
    worker_cpu: float
    own_cpu: float
    others: float
    routes: dict[str, Latency]

    @property
    def status(self) -> Latency:
        return self.routes["GET /status/ID"]


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Crowd]]:
    started = {"embedded": _embedded, "production": _production}
    for form in sizes.client_forms:
        with started[form](folder / form) as running:
            yield form, _crowded(running, sizes)


@dataclass(frozen=True, slots=True)
class Running:
    """The ids of the processes that answer, and of those that work."""

    api: Api
    servers: list[int]
    workers: list[int]


@contextmanager
def _embedded(folder: Path) -> Iterator[Running]:
    with serving(folder, folder, {}) as service:
        yield Running(service, [service.api], [service.worker])


@contextmanager
def _production(folder: Path) -> Iterator[Running]:
    """With the local embedder and LanceDB: stand-ins of providers would need the same two cores."""
    with servers(folder) as beneath, working(folder, folder, beneath, command=GUNICORN) as (api, workers):
        yield Running(api, [api.api, *(one.pid for one in psutil.Process(api.api).children())], workers)


def _crowded(running: Running, sizes: Sizes) -> Crowd:
    """What was not as it must be is told as it is seen, and counted."""
    account, own = Account(*running.servers, *running.workers), cpu_seconds(os.getpid())
    outcome = asyncio.run(crowd(running.api.port, running.api.key, sizes.clients, sizes.client_seconds))
    each, others = account.spent()
    for complaint in (*outcome.seen.strange[:5], *outcome.lost[:5]):
        print(complaint, file=sys.stderr)
    mine, count = cpu_seconds(os.getpid()) - own, len(running.servers)
    return _of(outcome, sizes, (sum(each[:count]), sum(each[count:]), mine), others)


def _of(outcome: Outcome, sizes: Sizes, cpu: tuple[float, float, float], others: float) -> Crowd:
    seen = outcome.seen
    return Crowd(
        clients=sizes.clients,
        seconds=sizes.client_seconds,
        requests=seen.answers.total(),
        accepted=len(seen.accepted),
        cancelled=outcome.ends["cancelled"],
        lost=len(outcome.lost),
        errors=seen.server_errors,
        strange=len(seen.strange),
        drained_after=round(outcome.drained_after, 1),
        api_cpu=round(cpu[0], 2),
        worker_cpu=round(cpu[1], 2),
        own_cpu=round(cpu[2], 2),
        others=others,
        routes={route: Latency.of(times) for route, times in sorted(seen.times.items())},
    )


def _present(readings: Mapping[str, Crowd]) -> Findings:
    return Findings(
        [_summary(readings), *(_routes(form, reading) for form, reading in readings.items())],
        [goal for form in FORMS for goal in _goals(form, readings.get(form))],
    )


def _summary(readings: Mapping[str, Crowd]) -> Table:
    columns = (
        *("form", "clients", "seconds", "requests", "tasks accepted", "cancelled", "without a fitting end"),
        *("5xx", "other unexpected answers", "all ended after, s", "API CPU, s", "worker CPU, s"),
        *("clients’ own CPU, s", "others’ share of the CPU"),
    )
    return Table(
        columns,
        [[f"{form}: {FORMS[form]}", *_figures(reading)] for form, reading in readings.items()],
        "Each client uploads a table of 20 rows once; then it submits it, asks for the status until it has "
        "ended, looks at chunks and rejected rows, searches, lists tasks, and begins anew. It cancels one "
        "task in ten and sends one submission in ten twice. A call without an answer counts as 5xx. The "
        "clients are one process on the same cores.",
    )


def _figures(reading: Crowd) -> list[str]:
    counts = (
        *(reading.clients, reading.seconds, reading.requests, reading.accepted, reading.cancelled),
        *(reading.lost, reading.errors, reading.strange),
    )
    times = (reading.drained_after, reading.api_cpu, reading.worker_cpu, reading.own_cpu)
    return [f"{count:,.0f}" for count in counts] + [*map(number, times), f"{reading.others:.0%}"]


def _routes(form: str, reading: Crowd) -> Table:
    return Table(
        ("route", "answers", "p50, ms", "p95, ms", "p99, ms", "worst, ms"),
        [
            [f"`{route}`", f"{one.samples:,}", *map(number, (one.p50, one.p95, one.p99, one.worst))]
            for route, one in reading.routes.items()
        ],
        f"{form}: {FORMS[form]}.",
    )


def _goals(form: str, reading: Crowd | None) -> list[Goal]:
    name = f"200 clients, {form}"
    return [
        at_most(f"{name}: `GET /status` p95", STATUS_MS, "ms", lambda one: one.status.p95, reading),
        at_most(f"{name}: answers of 500 and above", 0, "answers", lambda one: one.errors, reading),
        at_most(f"{name}: accepted tasks without a fitting end", 0, "tasks", lambda one: one.lost, reading),
    ]


SECTION = Section("clients", "Two hundred clients at once", Crowd, _measure, _present)
