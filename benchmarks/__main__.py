"""`make bench`: what planning and a row cost, printed as a table."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import write_table
from rowvec.model import Dialect, TaskSpec, Totals
from rowvec.planner import plan
from rowvec.sources.local import LocalSource

BLOCK = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--planning-mb", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measure_planning(Path(folder), options.planning_mb)
        print(f"\n{'':34}{'rows':>10}{'rows/s':>10}{'CPU µs/row':>12}{'peak MB':>9}")
        for rows in options.rows:
            write_table(Path(folder) / f"{rows}.csv", rows)
            measure_task(Path(folder), rows, "overhead (memory, digest)", "memory", "digest")
            measure_task(Path(folder), rows, "embedded (wordllama, LanceDB)", "local", "lancedb")


def measure_planning(folder: Path, megabytes: int) -> None:
    """Scan a file of that size, made of a smaller one over and over, and print GB/s."""
    path = folder / "planning.csv"
    write_table(path, 50_000)
    body = path.read_bytes().split(b"\n", 1)[1]
    with path.open("ab") as file:
        while file.tell() < megabytes * BLOCK:
            file.write(body)
    began, cpu = time.perf_counter(), time.process_time()
    totals = asyncio.run(_scan(folder, path.name))
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    gigabytes = totals.bytes / 1e9
    speed, per_cpu = gigabytes / seconds, gigabytes / spent
    print(f"planning {gigabytes:.2f} GB, {totals.rows} rows: {speed:.2f} GB/s, {per_cpu:.2f} GB a CPU-second")
    path.unlink()


async def _scan(folder: Path, name: str) -> Totals:
    source = LocalSource.open({"LOCAL_FILES_DIR": str(folder)}, None)
    pin = await source.pin(name)
    header = (await source.read(pin, 0, 4096)).index(b"\n") + 1
    spec = TaskSpec(pin, ("a",), header, 2, Dialect(), 1000, 16 << 20, "n", "memory", "m", 1)
    async for item in plan(source, spec):
        if isinstance(item, Totals):
            return item
    raise RuntimeError("the plan did not end")


def measure_task(folder: Path, rows: int, label: str, embedder: str, store: str) -> None:
    """Run one task in a process of its own and print its line."""
    with tempfile.TemporaryDirectory(prefix="bench-data-") as data:
        settings = {
            "DATA_DIR": data,
            "LEDGER_URL": f"sqlite:///{data}/ledger.db",
            "FILE_STORE_URL": f"file://{data}/files",
            "VECTOR_STORE_URL": f"{store}://{data}/vectors",
            "EMBEDDER": embedder,
            "LOCAL_FILES_DIR": str(folder),
        }
        command = [sys.executable, "-m", "benchmarks.task", json.dumps(settings), f"{rows}.csv"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    cost = json.loads(done.stdout.splitlines()[-1])
    speed, each = cost["rows"] / cost["seconds"], 1e6 * cost["cpu_seconds"] / cost["rows"]
    print(f"{label:34}{cost['rows']:>10}{speed:>10.0f}{each:>12.1f}{cost['peak_mb']:>9.0f}")


if __name__ == "__main__":
    main()
