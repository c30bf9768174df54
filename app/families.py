"""Families of metrics, of all processes or of one: base units, and never an id of a task, a key or a tenant
as a label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from rowvec import __version__
from rowvec.gauges import Gauge
from rowvec.ledgers.base import Overview
from rowvec.ledgers.books.rules import UNENDED
from rowvec.model import WorkerInfo
from rowvec.tally import CHUNKS, ROWS, Tally

PREFIX = "vectordb_"


def build() -> Metric:
    return _gauge("build_info", "The version that runs.", ("version",), [((__version__,), 1)])


def queue(overview: Overview) -> Iterator[Metric]:
    yield _gauge(
        "tasks", "Tasks that have not ended.", ("state",),
        [((seen,), overview.tasks.get(seen, 0)) for seen in UNENDED],
    )  # fmt: skip
    silences = [overview.now - at for at in overview.slowest.values()]
    yield _gauge(
        "task_seconds_without_progress", "The longest that a task at work has stood still.", (),
        [((), max([0.0, *silences]))],
    )  # fmt: skip


def workers(living: list[WorkerInfo]) -> Iterator[Metric]:
    free = sum(worker.holding < worker.slots for worker in living)
    yield _gauge(
        "workers", "Workers alive, and those of them that could take more.", ("state",),
        [(("alive",), len(living)), (("available",), free)],
    )  # fmt: skip
    holding = sum(worker.holding for worker in living)
    yield _gauge("leases", "Pieces of work that living workers hold.", (), [((), holding)])


def memory(living: list[WorkerInfo]) -> Metric:
    return _gauge(
        "worker_memory_bytes", "Resident memory of a worker's process.", ("worker",),
        [((f"{worker.host}:{worker.pid}",), worker.usage.memory) for worker in living],
    )  # fmt: skip


def work(done: Tally) -> Iterator[Metric]:
    rows = [((outcome,), float(done.rows.get(outcome, 0))) for outcome in ROWS]
    yield _counter("rows", "Rows by what became of them when their chunk ended.", ("outcome",), rows)
    chunks = [((outcome,), float(done.chunks.get(outcome, 0))) for outcome in CHUNKS]
    yield _counter("chunks", "Claimed chunks by what became of them.", ("outcome",), chunks)
    yield _counter(
        "chunk_seconds", "Seconds from claim to commit, over all done chunks.", (), [((), done.seconds)]
    )
    yield _counter(
        "embed_requests", "Answered requests of workers to the embedder.", (), [((), done.requests)]
    )
    yield _counter(
        "embed_rate_limited", "Requests of workers that the embedder put off (429).", (),
        [((), done.rate_limited)],
    )  # fmt: skip
    yield _counter("tokens", "Tokens that workers sent to the embedder.", (), [((), done.tokens)])
    yield _counter("dollars", "What those tokens cost at the embedder's price.", (), [((), done.dollars)])


def budget(providers: Iterable[Gauge]) -> Iterator[Metric]:
    used: list[tuple[tuple[str, ...], float]] = []
    queued = 0
    for provider in providers:
        queued += provider.queued or 0
        pairs = {
            "requests": (provider.requests_per_second, provider.most_requests_per_second),
            "tokens": (provider.tokens_per_minute, provider.most_tokens_per_minute),
        }
        used += [((name,), use / most) for name, (use, most) in pairs.items() if use is not None and most]
    yield _gauge(
        "budget_used_ratio", "Share of the embedder's limits that the last minute used.",
        ("budget",), used,
    )  # fmt: skip
    yield _gauge("queued_requests", "Requests that wait for their turn at the embedder.", (), [((), queued)])


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, told: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}{name}", told, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _counter(name: str, told: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}{name}", told, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
