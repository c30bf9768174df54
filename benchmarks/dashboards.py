"""The dashboard where there is much to show: ten thousand chunks, ten thousand tasks, fifty open pages."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.findings import Findings, Goal, Table, at_most, number
from benchmarks.latency import Latency
from benchmarks.ledger_seed import seed_ledger
from benchmarks.load import OVERHEAD, wish
from benchmarks.process import memory_mb
from benchmarks.section import Section, Sizes
from benchmarks.service import Service, serving
from benchmarks.table import write_table

CHUNK_ROWS = 100
OPEN_PAGES = 50
WARM_SECONDS, WATCH_SECONDS = 10.0, 30.0
PAGE_MS = 300.0
A_SECOND = 1.0
GROWTH_MB = 10.0
"""What an allocator keeps more of at one moment than at another; a leak of fifty streams is more."""

_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Dashboards:
    """Answer times by page, while the task of so many chunks is at work and all pages are open.

    `a_second` is the most that any open page was told of one region, on average, after the whole with which
    it began; `told` the fewest messages.
    `memory_before` and `memory_after`, of the API, are those once all are open, and half a minute later.
    """

    tasks: int
    chunks: int
    open_pages: int
    pages: dict[str, Latency]
    a_second: float
    told: int
    memory_before: float
    memory_after: float


class Visitor:
    """A browser that is signed in, without the browser."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._cookie = ""
        answer = self._ask("POST", "/sign-in", urlencode({"key": key}))
        self._cookie = answer.getheader("Set-Cookie", "").partition(";")[0]
        if answer.status != 303 or not self._cookie:
            raise RuntimeError(f"the key does not sign in: {answer.status}")

    def get(self, path: str) -> bytes:
        """Raises RuntimeError for any status but 200."""
        answer = self.open(path)
        return answer.read()

    def open(self, path: str) -> http.client.HTTPResponse:
        """The same, still to be read."""
        answer = self._ask("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"GET {path} answered {answer.status}")
        return answer

    def _ask(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Origin": f"http://127.0.0.1:{self._port}", "Accept": "text/html", "Cookie": self._cookie}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, headers)
        return connection.getresponse()


class OpenPage(threading.Thread):
    """Reads a page's stream and counts what it is told, by region."""

    def __init__(self, visitor: Visitor, path: str, until: float) -> None:
        super().__init__(daemon=True)
        self._answer, self._until = visitor.open(path), until
        self.told: Counter[bytes] = Counter()

    def run(self) -> None:
        with self._answer:
            for line in self._answer:
                if line.startswith(b"event:"):
                    self.told[line] += 1
                if time.monotonic() > self._until:
                    return


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Dashboards]]:
    tables, data = folder / "tables", folder / "service" / "data"
    tables.mkdir()
    data.mkdir(parents=True)
    write_table(tables / "rows.csv", sizes.listing_rows)
    url = f"sqlite:///{data / 'ledger.db'}"
    seed_ledger(url, sizes.tasks)
    with serving(folder / "service", tables, OVERHEAD | {"LEDGER_URL": url}) as service:
        task_id = service.submit(**wish(tables / "rows.csv"), batch_size=CHUNK_ROWS)
        chunks = _planned(service, task_id)
        yield "SQLite", _watched(service, task_id, sizes.tasks, chunks)


def _planned(service: Service, task_id: str) -> int:
    """How many chunks it has, once all are known. Raises TimeoutError when they never are."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (status := service.status(task_id))["progress"]["total_records"] is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not planned: {status}")
        time.sleep(0.1)
    return int(status["progress"]["chunks_total"])


def _watched(service: Service, task_id: str, tasks: int, chunks: int) -> Dashboards:
    """Raises RuntimeError when the task ended before the last look: then nothing lived."""
    visitor = Visitor(int(service.environment["PORT"]), service.environment["API_KEYS"])
    pages = {"chunks": f"/tasks/{task_id}/chunks", "list": "/tasks", "task": f"/tasks/{task_id}"}
    until = time.monotonic() + WARM_SECONDS + WATCH_SECONDS
    paths = list(pages.values())
    opened = [OpenPage(visitor, f"/live{paths[at % len(paths)]}", until) for at in range(OPEN_PAGES)]
    began = time.monotonic()
    for one in opened:
        one.start()
    samples: dict[str, list[float]] = {name: [] for name in pages}
    _look(visitor, pages, samples, began + WARM_SECONDS)
    before = memory_mb(service.api)
    _look(visitor, pages, samples, until)
    after = memory_mb(service.api)
    seconds = time.monotonic() - began
    service.caller.close()  # the service has given up on a connection that was silent for so long
    if service.status(task_id)["completed_at"] is not None:
        raise RuntimeError("the task ended while it was watched: give it more rows")
    return Dashboards(
        tasks=tasks,
        chunks=chunks,
        open_pages=len(opened),
        pages={name: Latency.of(times) for name, times in samples.items()},
        a_second=round(max(max(one.told.values(), default=1) - 1 for one in opened) / seconds, 2),
        told=min(sum(one.told.values()) for one in opened),
        memory_before=round(before, 1),
        memory_after=round(after, 1),
    )


def _look(
    visitor: Visitor, pages: Mapping[str, str], samples: Mapping[str, list[float]], until: float
) -> None:
    """Open each page anew, twice a second."""
    while time.monotonic() < until:
        for name, path in pages.items():
            began = time.perf_counter()
            visitor.get(path)
            samples[name].append(1000 * (time.perf_counter() - began))
        time.sleep(0.5)


def _present(readings: Mapping[str, Dashboards]) -> Findings:
    return Findings([_table(name, one) for name, one in readings.items()], _goals(readings.get("SQLite")))


def _table(ledger: str, one: Dashboards) -> Table:
    return Table(
        ("page", "answers", "p50, ms", "p99, ms", "worst, ms"),
        [
            [name, f"{times.samples:,}", *map(number, (times.p50, times.p99, times.worst))]
            for name, times in one.pages.items()
        ],
        f"A ledger on {ledger} of {one.tasks:,} ended tasks, one of {one.chunks:,} chunks at work and "
        f"{one.open_pages} pages open, a third each of its chunks, of the list and of the task. No page was "
        f"told more than {one.a_second:g} times a second of one region, each at least {one.told} times. "
        f"Memory of the API: {one.memory_before:.0f} MB once they were open, {one.memory_after:.0f} MB "
        f"{WATCH_SECONDS:.0f} s later.",
    )


def _goals(one: Dashboards | None) -> list[Goal]:
    full = one if one and (one.tasks, one.chunks) == (10_000, 10_000) else None
    name = f"10,000 chunks, 10,000 tasks, {OPEN_PAGES} open pages"
    return [
        at_most(f"{name}: page of the chunks, p99", PAGE_MS, "ms", lambda it: it.pages["chunks"].p99, full),
        at_most(f"{name}: page of the list, p99", PAGE_MS, "ms", lambda it: it.pages["list"].p99, full),
        at_most(f"{name}: messages of a region", A_SECOND, "a second", lambda it: it.a_second, full),
        at_most(
            f"{name}: growth of the API's memory", GROWTH_MB, "MB",
            lambda it: it.memory_after - it.memory_before, full,
        ),
    ]  # fmt: skip


SECTION = Section("dashboards", "The dashboard with much to show", Dashboards, _measure, _present)
