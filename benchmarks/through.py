"""What a row costs through the whole stack where no budget holds it back, and how two processes share it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.budget import WORDS
from benchmarks.findings import Findings, Goal, Table, at_least, at_most, number
from benchmarks.load import seconds_between, wish
from benchmarks.process import Account, peak_mb
from benchmarks.production import Production, embedding, producing
from benchmarks.section import Section, Sizes
from benchmarks.table import write_table
from benchmarks.watch import Status, ended

NO_BUDGET = {"OPENAI_REQUESTS_PER_SECOND": "100000"}
"""Beyond the 20 a second that are the default, so that nobody waits for a turn."""

OPENAI: dict[str, Any] = {}
PINECONE: dict[str, Any] = {"unlimited": True, "keep_vectors": 0}
LATE_OPENAI: dict[str, Any] = {"latency": {"mean": 1.0}}
LATE_PINECONE: dict[str, Any] = PINECONE | {"latency": {"mean": 0.05}}
"""Always the same: chance at the end of a run of some seconds would be told as what a process does."""

SMALL_CHUNKS = {"CHUNK_SIZE": "140"}
"""So that a process has two chunks of a task on their way, which is less than 2 % of the rows: it waits for
latency, not for the machine. Their answers come together: with 420 rows a chunk, four of them and the
stand-ins kept two slow cores busy for a fourth of the second that they had waited."""

_LOOK_EVERY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Through:
    """One table through the stack. `seconds` are from its submission to its end, CPU seconds of all processes
    of the workers, of the API and of the stand-ins; peaks are those of the largest worker process and of the
    API. `others` is as in Load, with PostgreSQL and Redis among them."""

    rows: int
    seconds: float
    worker_cpu: float
    api_cpu: float
    openai_cpu: float
    pinecone_cpu: float
    others: float
    worker_peak: float
    api_peak: float

    @property
    def rows_a_second(self) -> float:
        return self.rows / self.seconds

    @property
    def cpu_us_a_row(self) -> float:
        """Of workers and API together."""
        return self.each_us(self.worker_cpu + self.api_cpu)

    def each_us(self, seconds: float) -> float:
        """Microseconds a row."""
        return 1e6 * seconds / self.rows


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Through]]:
    tables = folder / "tables"
    tables.mkdir()
    whole, part = tables / "rows.csv", tables / "part.csv"
    write_table(whole, sizes.through_rows, words=WORDS)
    write_table(part, sizes.waiting_rows, words=WORDS)
    for case, table, stack in _stacks(folder, whole, part):
        with stack as production:
            yield case, _through(production, table)


def _stacks(
    folder: Path, whole: Path, part: Path
) -> Iterator[tuple[str, Path, AbstractContextManager[Production]]]:
    tables, free, late = whole.parent, (OPENAI, PINECONE), (LATE_OPENAI, LATE_PINECONE)
    yield "embedded", whole, embedding(folder / "embedded", tables, *free, NO_BUDGET)
    for hosts in (1, 2):
        stack = producing(folder / f"of-{hosts}", tables, hosts, *free, NO_BUDGET)
        yield f"celery-{hosts}", whole, stack
    for hosts in (1, 2):
        stack = producing(folder / f"late-{hosts}", tables, hosts, *late, NO_BUDGET | SMALL_CHUNKS)
        yield f"waiting-{hosts}", part, stack


def _through(stack: Production, table: Path) -> Through:
    """Raises RuntimeError when not every row landed."""
    standins = stack.openai.process.pid, stack.pinecone.process.pid
    account = Account(*standins, stack.api.api, *stack.workers)
    status = _followed(stack, stack.api.submit(**wish(table)))
    (openai, pinecone, api, *workers), others = account.spent()
    law = status["conservation"]
    if status["status"] != "completed" or not law["read"] == law["upserted"] == stack.landed():
        raise RuntimeError(f"not every row landed: {status}")
    return Through(
        rows=law["read"],
        seconds=seconds_between(status, "created_at", "completed_at"),
        worker_cpu=round(sum(workers), 2),
        api_cpu=api,
        openai_cpu=openai,
        pinecone_cpu=pinecone,
        others=others,
        worker_peak=max(map(peak_mb, stack.workers)),
        api_peak=peak_mb(stack.api.api),
    )


def _followed(stack: Production, task_id: str) -> Status:
    """The task's status at its end; asked for twice a second."""
    while not ended(status := stack.api.status(task_id)):
        if status["status"] == "paused":
            raise RuntimeError(f"the task did not go well: {status}")
        time.sleep(_LOOK_EVERY_SECONDS)
    return status


def _present(runs: Mapping[str, Through]) -> Findings:
    return Findings([_table(runs)], list(_goals(runs)))


def _goals(runs: Mapping[str, Through]) -> Iterator[Goal]:
    one, two = runs.get("celery-1"), runs.get("celery-2")
    for name, run in (("embedded", runs.get("embedded")), ("Celery", one)):
        yield at_most(f"through, {name}: CPU of worker and API", 90, "µs a row", _cpu, run)
    yield at_most(
        "through, two Celery processes: CPU a row to that of one", 1.1, "times",
        lambda both, alone: _cpu(both) / _cpu(alone), two, one,
    )  # fmt: skip
    yield at_least(
        "through, providers that take 1,000 and 50 ms: speed of two processes to that of one", 1.9, "times",
        lambda both, alone: both.rows_a_second / alone.rows_a_second,
        runs.get("waiting-2"), runs.get("waiting-1"),
    )  # fmt: skip


def _cpu(run: Through) -> float:
    return run.cpu_us_a_row


def _table(runs: Mapping[str, Through]) -> Table:
    columns = (
        *("", "rows", "seconds", "rows/s", "CPU of workers and API, µs a row", "workers", "API"),
        *("OpenAI’s stand-in", "Pinecone’s", "worker peak, MB", "API peak, MB", "others’ share of the CPU"),
    )
    return Table(
        columns, [_row(case, run) for case, run in runs.items()],
        "1536 dimensions, rows of 120 words, no budget; celery and waiting with that many processes, the "
        "latter with a second of OpenAI, 50 ms of Pinecone and chunks of 140 rows, two of which each has on "
        "their way: so one process takes about a minute, of which the second that cannot be shared (the "
        "plan, the settling) is a small part. All share the machine with the stand-ins, "
        "whose own CPU a row is the inverse of what each could do.",
    )  # fmt: skip


def _row(case: str, run: Through) -> list[str]:
    cpu = (run.worker_cpu, run.api_cpu, run.openai_cpu, run.pinecone_cpu)
    return [
        *(case, f"{run.rows:,}", number(run.seconds), number(run.rows_a_second), number(run.cpu_us_a_row)),
        *(number(run.each_us(seconds)) for seconds in cpu),
        *(number(run.worker_peak), number(run.api_peak), f"{run.others:.0%}"),
    ]


SECTION = Section("through", "Through the whole stack", Through, _measure, _present)
