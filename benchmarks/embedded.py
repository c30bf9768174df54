"""What runs with nothing configured: the local embedder and LanceDB."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.findings import Findings, Goal, at_least, at_most
from benchmarks.load import Load
from benchmarks.loads import STATUS_MS, load_plots, load_table, measure_loads
from benchmarks.section import Section

DEFAULTS: dict[str, str] = {}


def _present(loads: Mapping[str, Load]) -> Findings:
    return Findings([load_table(loads)], _goals(loads), load_plots("embedded", loads))


def _goals(loads: Mapping[str, Load]) -> list[Goal]:
    middle, large = loads.get("100000"), loads.get("1000000")
    return [
        at_least("embedded, 100,000 rows: speed", 3000, "rows/s", _speed, middle),
        at_least(
            "embedded, 1,000,000 rows: that speed to the one at 100,000", 0.7, "times",
            lambda one, other: _speed(one) / _speed(other), large, middle,
        ),
        at_most(
            "embedded, 1,000,000 rows: peak of the worker", 1200, "MB",
            lambda one: one.worker_peak, large,
        ),
        at_most(
            "embedded, 1,000,000 rows: `GET /status` p99", STATUS_MS, "ms",
            lambda one: one.status.p99, large,
        ),
    ]  # fmt: skip


def _speed(load: Load) -> float:
    return load.rows_a_second


SECTION = Section(
    "embedded", "With nothing configured", Load, measure_loads(DEFAULTS, lambda sizes: sizes.rows), _present
)
