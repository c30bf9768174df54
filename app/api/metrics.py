"""What Prometheus asks for: of everybody's work, and how long answers took."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.families import budget, build, memory, queue, work, workers
from rowvec.gauges import Gauge
from rowvec.ledgers.base import Overview
from rowvec.model import WorkerInfo

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names where several processes of one service count together (`gunicorn.conf.py`)."""

Listener = Callable[[str, str, int, float], None]
"""Takes method, route, status and seconds of an answer."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Answers:
    """How long requests took, by method, route and status: of this process, or of all that share a folder."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "vectordb_http_request_duration_seconds",
            "How long answers took.",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=SECONDS,
        )
        self._listeners: list[Listener] = []

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        self._seconds.labels(method, route, str(status)).observe(seconds)
        for listener in self._listeners:
            listener(method, route, status, seconds)

    def tell(self, listener: Listener) -> None:
        """Of each answer, from now on."""
        self._listeners.append(listener)

    def exposition(self) -> str:
        if FOLDER not in os.environ:
            return generate_latest(self._registry).decode()
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together).decode()


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def exposition(overview: Overview, living: list[WorkerInfo], providers: Iterable[Gauge]) -> str:
    """What the ledger tells of everybody's work; the same whichever process is asked."""
    registry = CollectorRegistry()
    families = [
        build(),
        *queue(overview),
        *workers(living),
        memory(living),
        *work(overview.tally),
        *budget(providers),
    ]
    registry.register(_Families(families))
    return generate_latest(registry).decode()
