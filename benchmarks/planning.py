"""Planning: the scan that finds where chunks begin and end, alone, its file in the page cache."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.findings import Findings, Table, at_least, number
from benchmarks.section import Section, Sizes
from benchmarks.table import HEADER, write_large_table
from rowvec.model import Totals
from rowvec.planner import plan
from rowvec.sources.local import LocalSource
from rowvec.spec import Dialect, TaskSpec

BYTES = 1_000_000_000
SCANS = 5


@dataclass(frozen=True, slots=True)
class Scans:
    """Wall and CPU seconds of each scan of the same file, the first one left out: it fills the cache."""

    bytes: int
    rows: int
    seconds: list[float]
    cpu: list[float]

    @property
    def speed(self) -> float:
        """GB a wall second, of the scan in the middle."""
        return self.bytes / 1e9 / _middle(self.seconds)

    @property
    def speed_a_cpu_second(self) -> float:
        return self.bytes / 1e9 / _middle(self.cpu)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _measure(folder: Path, _sizes: Sizes) -> Iterator[tuple[str, Scans]]:
    path = folder / "planning.csv"
    rows = write_large_table(path, BYTES)
    _timed(path)
    timed = [_timed(path) for _ in range(SCANS)]
    if any(totals.rows != rows for totals, _, _ in timed):
        raise RuntimeError(f"the scan did not find the {rows} rows of the file")
    yield "1", Scans(path.stat().st_size, rows, [t[1] for t in timed], [t[2] for t in timed])
    path.unlink()


def _timed(path: Path) -> tuple[Totals, float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    totals = asyncio.run(_scan(path))
    return totals, round(time.perf_counter() - began, 3), round(time.process_time() - cpu, 3)


async def _scan(path: Path) -> Totals:
    source = LocalSource(str(path.parent))
    spec = TaskSpec(
        source=await source.pin(path.name),
        header=tuple(HEADER.decode().strip().split(",")),
        data_start=len(HEADER),
        data_line=2,
        dialect=Dialect(),
        chunk_size=1000,
        max_record_bytes=16 << 20,
        namespace="benchmark",
        embedder="memory",
        model="memory-64",
        dimension=64,
    )
    async for item in plan(source, spec):
        if isinstance(item, Totals):
            return item
    raise RuntimeError("the plan did not end")


def _present(readings: Mapping[str, Scans]) -> Findings:
    scans = readings.get("1")
    rows = [_row(each) for each in readings.values()]
    columns = ("GB", "rows", "GB/s", "GB a CPU-second", "slowest and fastest scan, GB/s")
    return Findings(
        [Table(columns, rows, f"The scan in the middle of {SCANS}, after one that is not counted.")],
        [
            at_least("planning, of wall time", 0.8, "GB/s", lambda one: one.speed, scans),
            at_least(
                "planning, of CPU time", 0.8, "GB a CPU-second", lambda one: one.speed_a_cpu_second, scans
            ),
        ],
    )


def _row(scans: Scans) -> list[str]:
    size = scans.bytes / 1e9
    extremes = [f"{size / seconds:.2f}" for seconds in (max(scans.seconds), min(scans.seconds))]
    return [
        f"{size:.2f}",
        f"{scans.rows:,}",
        number(scans.speed),
        number(scans.speed_a_cpu_second),
        " – ".join(extremes),
    ]


SECTION = Section("planning", "Planning", Scans, _measure, _present)
