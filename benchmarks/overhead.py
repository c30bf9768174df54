"""The machine's own cost: everything but a model and an index of vectors."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.findings import Findings, Goal, at_most
from benchmarks.load import OVERHEAD, Load
from benchmarks.loads import STATUS_MS, load_plots, load_table, measure_loads
from benchmarks.section import Section


def _present(loads: Mapping[str, Load]) -> Findings:
    return Findings([load_table(loads)], _goals(loads), load_plots("overhead", loads))


def _goals(loads: Mapping[str, Load]) -> list[Goal]:
    middle, large, largest = loads.get("100000"), loads.get("1000000"), loads.get("10000000")
    return [
        at_most("overhead, 100,000 rows: CPU of the worker", 60, "µs a row", _cpu, middle),
        at_most("overhead, 1,000,000 rows: CPU of the worker", 60, "µs a row", _cpu, large),
        at_most(
            "overhead, 1,000,000 rows: CPU a row to that at 10,000", 1.1, "times",
            lambda one, other: _cpu(one) / _cpu(other), large, loads.get("10000"),
        ),
        at_most("overhead, 1,000,000 rows: peak of the worker", 256, "MB", _peak, large),
        at_most(
            "overhead, 1,000,000 rows: that peak to the one at 100,000", 1.05, "times",
            lambda one, other: _peak(one) / _peak(other), large, middle,
        ),
        at_most(
            "overhead, 1,000,000 rows: `GET /status` p99", STATUS_MS, "ms",
            lambda one: one.status.p99, large,
        ),
        at_most(
            "overhead, 10,000,000 rows: CPU a row to that at 1,000,000", 1.1, "times",
            lambda one, other: _cpu(one) / _cpu(other), largest, large,
        ),
        at_most("overhead, 10,000,000 rows: peak of the worker", 256, "MB", _peak, largest),
        at_most(
            "overhead, 10,000,000 rows: that peak to the one at 1,000,000", 1.1, "times",
            lambda one, other: _peak(one) / _peak(other), largest, large,
        ),
    ]  # fmt: skip


def _cpu(load: Load) -> float:
    return load.cpu_us_a_row


def _peak(load: Load) -> float:
    return load.worker_peak


SECTION = Section(
    "overhead",
    "The machine alone",
    Load,
    measure_loads(OVERHEAD, lambda sizes: sizes.overhead_rows),
    _present,
)
