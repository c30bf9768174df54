"""Tasks of several sizes through one kind of service: their readings, their table and their plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.findings import Plot, Table, number
from benchmarks.load import Load, run_load
from benchmarks.section import Sizes
from benchmarks.table import write_table

Loads = Mapping[str, Load]
STATUS_MS = 20.0
"""Within this `GET /status` is to answer 99 of 100 times, whatever the worker does."""


def measure_loads(
    settings: Mapping[str, str], many: Callable[[Sizes], Sequence[int]]
) -> Callable[[Path, Sizes], Iterator[tuple[str, Load]]]:
    """A fresh service for each number of rows, so that its peak of memory is that of this task."""

    def measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Load]]:
        for rows in many(sizes):
            tables = folder / f"tables-{rows}"
            tables.mkdir()
            table = tables / f"{rows}.csv"
            write_table(table, rows)
            yield str(rows), run_load(folder / f"service-{rows}", table, settings)
            table.unlink()

    return measure


def load_table(loads: Loads) -> Table:
    columns = (
        *("rows", "seconds", "rows/s", "planned after, s", "worker CPU, µs a row", "API CPU, µs a row"),
        *(
            "worker peak, MB",
            "API peak, MB",
            "status p50, ms",
            "status p99, ms",
            "status worst, ms",
            "others’ share of the CPU",
        ),
    )
    return Table(columns, [_row(load) for load in loads.values()])


def _row(load: Load) -> list[str]:
    status = load.status
    figures = (
        *(load.seconds, load.rows_a_second, load.planned_after, load.cpu_us_a_row, load.api_cpu_us_a_row),
        *(load.worker_peak, load.api_peak, status.p50, status.p99, status.worst),
    )
    return [f"{load.rows:,}", *map(number, figures), f"{load.others:.0%}"]


def load_plots(label: str, loads: Loads) -> list[Plot]:
    """What is told over rows, and of the largest task over time. Lines are named after `label`."""
    if not loads:
        return []
    every = loads.values()
    largest = list(every)[-1]
    return [
        Plot(
            "cpu", "CPU for 1,000 rows", "rows of the task", "CPU of the worker for 1,000 rows, ms",
            {label: [(load.rows, load.cpu_us_a_row) for load in every]}, "x",
        ),
        Plot(
            "memory", "Memory over the size of the task", "rows of the task", "peak of the process, MB",
            {
                f"{label}: worker": [(load.rows, load.worker_peak) for load in every],
                f"{label}: API": [(load.rows, load.api_peak) for load in every],
            }, "x",
        ),
        Plot(
            "speed", "Rows a second", "rows of the task", "rows a second",
            {label: [(load.rows, load.rows_a_second) for load in every]}, "x",
        ),
        Plot(
            "memory-over-time", "Memory while the largest task runs", "seconds since it was submitted",
            "memory of the process, MB",
            {
                f"{label}: worker, {largest.rows:,} rows": [(s, worker) for s, worker, _ in largest.memory],
                f"{label}: API": [(s, api) for s, _, api in largest.memory],
            },
        ),
        Plot(
            "status", "GET /status while the largest task runs", "answer time, ms",
            "share of the answers that took longer, %",
            {f"{label}, {largest.rows:,} rows": largest.status.tail()}, "xy",
            ("goal: at most 1 % beyond 20 ms", STATUS_MS),
        ),
    ]  # fmt: skip
