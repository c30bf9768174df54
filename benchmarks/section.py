"""One part of the measurements: how its readings are taken, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmarks.findings import Findings

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is asked for on the command line: rows of tasks, those of the machine alone among them; GB of
    files; tasks in the ledger, and the rows of the one that runs beside them; processes that share a budget,
    and the rows of the task that they do; rows of the task that nothing holds back, and of the one that waits
    for latency; the forms of ours and the peers that are set beside each other, in so many rounds, and the
    rows of ours there without latency and at a kill; clients at once, for how many seconds, which forms."""

    rows: Sequence[int] = (10_000, 100_000, 1_000_000)
    overhead_rows: Sequence[int] = (10_000, 100_000, 1_000_000, 10_000_000)
    gigabytes: Sequence[float] = (1, 10)
    tasks: int = 10_000
    listing_rows: int = 1_000_000
    processes: Sequence[int] = (1, 2, 4)
    budget_rows: int = 50_000
    through_rows: int = 100_000
    waiting_rows: int = 20_000
    ours: Sequence[str] = ("embedded", "celery")
    peers: Sequence[str] = ()
    rounds: int = 2
    peer_rows: int = 100_000
    killed_rows: int = 20_000
    clients: int = 200
    client_seconds: float = 120.0
    client_forms: Sequence[str] = ("embedded", "production")


@dataclass(frozen=True, slots=True)
class Section(Generic[R]):
    """`measure` takes readings in an empty folder, each under the name of its case; `present` says what
    they mean, and takes whatever cases there are. A reading is a dataclass of plain values."""

    name: str
    title: str
    reading: type[R]
    measure: Callable[[Path, Sizes], Iterator[tuple[str, R]]]
    present: Callable[[Mapping[str, R]], Findings]


AnySection = Section[Any]
