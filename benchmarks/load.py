"""One task of so many rows through a fresh service, from its submission to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.latency import Latency
from benchmarks.process import Account, peak_mb
from benchmarks.service import Service, serving
from benchmarks.watch import Status, watch

OVERHEAD = {"EMBEDDER": "memory", "VECTOR_STORE_URL": "digest://"}
"""Settings of a service that neither embeds nor keeps vectors: what is left is the machine itself."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a task cost. CPU seconds and peaks are those of the processes, CPU from submission to end only.

    `seconds` is from the task's started_at to its completed_at, `planned_after` that of planned_at.
    `others` is the share of the machine's cores, 0 to 1, that other processes used meanwhile.
    `memory` is as in Watched; `beside` has the answer times of other paths that were asked meanwhile.
    """

    rows: int
    seconds: float
    planned_after: float
    worker_cpu: float
    api_cpu: float
    others: float
    worker_peak: float
    api_peak: float
    status: Latency
    memory: list[tuple[float, float, float]]
    beside: dict[str, Latency] = field(default_factory=dict)

    @property
    def rows_a_second(self) -> float:
        return self.rows / self.seconds

    @property
    def cpu_us_a_row(self) -> float:
        """Microseconds of the worker's CPU."""
        return 1e6 * self.worker_cpu / self.rows

    @property
    def api_cpu_us_a_row(self) -> float:
        return 1e6 * self.api_cpu / self.rows


def wish(table: Path) -> dict[str, Any]:
    """The submission: `body` is embedded, every column is metadata."""
    return {"data_source": "s3_csv", "s3_key": table.name, "id_column": "id", "text_columns": ["body"]}


def run_load(folder: Path, table: Path, settings: Mapping[str, str]) -> Load:
    """Start a service in `folder`, bring the table through it, and stop it."""
    with serving(folder, table.parent, settings) as service:
        return measure(service, table)


def measure(service: Service, table: Path, beside: Sequence[str] = ()) -> Load:
    """Submit the table and follow it, asking for the paths of `beside` as often as for the status.

    Raises RuntimeError when not every row landed.
    """
    account = Account(service.worker, service.api)
    task_id = service.submit(**wish(table))
    watched = watch(service, task_id, beside=beside)
    (worker_cpu, api_cpu), others = account.spent()
    law = watched.status["conservation"]
    if watched.status["status"] != "completed" or law["read"] != law["upserted"]:
        raise RuntimeError(f"not every row landed: {watched.status}")
    return Load(
        rows=law["read"],
        seconds=seconds_between(watched.status, "started_at", "completed_at"),
        planned_after=seconds_between(watched.status, "started_at", "planned_at"),
        worker_cpu=worker_cpu,
        api_cpu=api_cpu,
        others=others,
        worker_peak=peak_mb(service.worker),
        api_peak=peak_mb(service.api),
        status=watched.latencies[f"/api/v1/status/{task_id}"],
        memory=watched.memory,
        beside={path: watched.latencies[path] for path in beside},
    )


def seconds_between(status: Status, first: str, second: str) -> float:
    begin, end = (datetime.fromisoformat(status[name]) for name in (first, second))
    return (end - begin).total_seconds()
