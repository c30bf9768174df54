"""A file of 10 GB: planned to its end and worked on, in no more memory than one of 1 GB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.findings import Findings, Goal, Plot, Table, at_most, number
from benchmarks.latency import Latency
from benchmarks.load import OVERHEAD, seconds_between, wish
from benchmarks.loads import STATUS_MS
from benchmarks.process import Account, peak_mb
from benchmarks.section import Section, Sizes
from benchmarks.service import Service, serving
from benchmarks.table import write_large_table
from benchmarks.watch import Status, ended, watch

ROWS = 100_000
"""So many rows are to be done, and the plan complete, before the task is cancelled."""


@dataclass(frozen=True, slots=True)
class Large:
    """`planned_after`, `done` and peaks are as when the task was cancelled: chunks done and rows planned."""

    bytes: int
    rows: int
    done: int
    planned_after: float
    worker_cpu: float
    others: float
    worker_peak: float
    api_peak: float
    status: Latency
    memory: list[tuple[float, float, float]]


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Large]]:
    for gigabytes in sizes.gigabytes:
        tables = folder / f"tables-{gigabytes:g}"
        tables.mkdir()
        table = tables / "large.csv"
        write_large_table(table, round(gigabytes * 1e9))
        with serving(folder / f"service-{gigabytes:g}", tables, OVERHEAD) as service:
            yield f"{gigabytes:g}", _run(service, table)
        table.unlink()


def _run(service: Service, table: Path) -> Large:
    account = Account(service.worker, service.api)
    task_id = service.submit(**wish(table))
    watched = watch(service, task_id, _far_enough)
    (worker_cpu, _), others = account.spent()
    peaks = peak_mb(service.worker), peak_mb(service.api)
    service.cancel(task_id)
    watch(service, task_id, ended)
    status = watched.status
    return Large(
        bytes=table.stat().st_size,
        rows=status["progress"]["total_records"],
        done=status["progress"]["processed_records"],
        planned_after=seconds_between(status, "started_at", "planned_at"),
        worker_cpu=worker_cpu,
        others=others,
        worker_peak=peaks[0],
        api_peak=peaks[1],
        status=watched.latencies[f"/api/v1/status/{task_id}"],
        memory=watched.memory,
    )


def _far_enough(status: Status) -> bool:
    return status["planned_at"] is not None and status["progress"]["processed_records"] >= ROWS


def _present(readings: Mapping[str, Large]) -> Findings:
    columns = (
        *("GB", "rows planned", "planned after, s", "rows done by then", "worker CPU, s"),
        *("worker peak, MB", "API peak, MB", "status p99, ms", "others’ share of the CPU"),
    )
    lines = {
        f"{size} GB: worker": [(seconds, worker) for seconds, worker, _ in large.memory]
        for size, large in readings.items()
    }
    plot = Plot(
        "large-file", "Memory while a large file is planned and worked on", "seconds since it was submitted",
        "memory of the worker, MB", lines,
    )  # fmt: skip
    caption = (
        f"The task is cancelled once all of the file is planned and {ROWS:,} rows are done; "
        "chunks are worked on while the file is still being planned."
    )
    table = Table(columns, [_row(large) for large in readings.values()], caption)
    return Findings([table], _goals(readings), [plot] if lines else [])


def _row(large: Large) -> list[str]:
    figures = (large.worker_cpu, large.worker_peak, large.api_peak, large.status.p99)
    return [
        f"{large.bytes / 1e9:.2f}",
        f"{large.rows:,}",
        number(large.planned_after),
        f"{large.done:,}",
        *map(number, figures),
        f"{large.others:.0%}",
    ]


def _goals(readings: Mapping[str, Large]) -> list[Goal]:
    small, large = readings.get("1"), readings.get("10")
    return [
        at_most("a file of 10 GB: peak of the worker", 256, "MB", lambda one: one.worker_peak, large),
        at_most(
            "a file of 10 GB: that peak to the one at 1 GB", 1.1, "times",
            lambda one, other: one.worker_peak / other.worker_peak, large, small,
        ),
        at_most("a file of 10 GB: `GET /status` p99", STATUS_MS, "ms", lambda one: one.status.p99, large),
    ]  # fmt: skip


SECTION = Section("large-file", "A large file", Large, _measure, _present)
