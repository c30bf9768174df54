"""`python -m tests.chaos.memory`: does a worker's memory grow with the rows it has done?

One process does a whole task, with the memory embedder and the digest store, which keep nothing. Memory
at a share of the rows is the most (VmRSS) that was seen while the last twentieth before it was done, so
that what is in flight at a moment does not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from app.workers.heap import ONE_ARENA  # its package chooses the allocator that a worker has
from rowvec.intake import TaskRequest, submit
from rowvec.machine import Limits, Machine
from rowvec.model import Task
from rowvec.worker import Worker
from tests.weighed import memory

MB = 1 << 20
LOOK = 0.1
WINDOW = 0.05
EARLY = 0.1
MOST = 1.05
"""Of the memory at EARLY, at the end."""
WORDS = "the quick brown fox jumps over the lazy dog and comes back on Monday with an invoice"


def main(arguments: list[str]) -> int:
    """0 when memory has not grown, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.memory", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    rows = parser.parse_args(arguments).rows
    if (
        not ONE_ARENA.keys() <= os.environ.keys()
    ):  # read when a process starts; the embedded worker is started with it, too
        command = [sys.executable, "-m", "tests.chaos.memory", *arguments]
        os.execve(sys.executable, command, os.environ | ONE_ARENA)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        seen, task = asyncio.run(_seen(Path(folder), rows))
    early, late, settled = most(seen, rows, EARLY), most(seen, rows, 1.0), seen[-1][1]
    sys.stdout.write(
        f"  rows                        {rows:>12,}  {task.state}, {task.counts.upserted:,} upserted\n"
        f"  memory at {EARLY:.0%}               {early / MB:>12,.1f} MB\n"
        f"  memory at 100%              {late / MB:>12,.1f} MB  = {late / early:.3f} of it (at most {MOST})\n"
        f"  memory when it was settled  {settled / MB:>12,.1f} MB  = {settled / early:.3f} of it\n"
        f"  seconds                     {time.monotonic() - began:>12,.0f}\n"
    )
    return 0 if late <= MOST * early and task.counts.upserted == rows else 1


def most(seen: list[tuple[int, int]], rows: int, share: float) -> int:
    """The most bytes while the last rows before that share were done."""
    return max(size for done, size in seen if (share - WINDOW) * rows <= done <= share * rows)


async def _seen(folder: Path, rows: int) -> tuple[list[tuple[int, int]], Task]:
    """Rows done and bytes held, again and again until the task has ended."""
    with (folder / "rows.csv").open("w") as file:
        file.writelines(_lines(rows))
    machine = _machine(folder)
    await machine.ledger.ready()
    wish = TaskRequest("local", "rows.csv", id_column="id", text_columns=["text"])
    task = (await submit(machine, wish)).task
    stop = asyncio.Event()
    working = asyncio.create_task(Worker(machine).run(stop))
    seen: list[tuple[int, int]] = []
    while not task.state.ended:
        await asyncio.sleep(LOOK)
        task = await machine.ledger.task(task.id)
        seen.append((task.counts.read, memory("VmRSS")))
    stop.set()
    await working
    await machine.close()
    return seen, task


def _machine(folder: Path) -> Machine:
    settings = {
        "LEDGER_URL": f"sqlite:///{folder}/ledger.db",
        "FILE_STORE_URL": f"file://{folder}/files",
        "VECTOR_STORE_URL": "digest://",
        "EMBEDDER": "memory",
        "LOCAL_FILES_DIR": str(folder),
    }
    return Machine.open(settings, Limits())


def _lines(rows: int) -> Iterator[str]:
    yield "id,text\n"
    for number in range(rows):
        yield f"row-{number},{WORDS} {number}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
