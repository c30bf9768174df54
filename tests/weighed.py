"""A task in a process of its own: `python -m tests.weighed FOLDER FILE WISH` says what it came to.

The last line that it prints is a JSON object. `grown` are the bytes by which its largest memory (VmHWM) lies
above what it had (VmRSS) after a small table had gone the same way, with everything imported and at work.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rowvec.intake import TaskRequest, submit
from rowvec.machine import Limits, Machine
from rowvec.manifest import read_merged, written
from rowvec.model import Task
from rowvec.rejected import done_chunks, rejections
from rowvec.worker import Worker

PATIENCE = 120.0


def memory(kind: str) -> int:
    """Bytes of this process, `VmRSS` now or `VmHWM` at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(kind)


async def ended(machine: Machine, wish: TaskRequest) -> Task:
    task_id = (await submit(machine, wish)).task.id
    stop = asyncio.Event()
    working = asyncio.create_task(Worker(machine, poll=0.02).run(stop))
    async with asyncio.timeout(PATIENCE):
        while not (task := await machine.ledger.task(task_id)).state.ended:
            await asyncio.sleep(0.02)
    stop.set()
    await working
    return task


async def outcome(machine: Machine, task: Task) -> dict[str, Any]:
    """What the task came to: the account, the rows that landed, and those that did not."""
    manifests = await written(done_chunks(machine.ledger, task.id))
    landed = [row async for some in read_merged(machine.files, manifests) for row in some.row_numbers]
    notes = [note async for note in rejections(machine, task.id)]
    return {
        "state": task.state,
        "error": task.error,
        "counts": asdict(task.counts),
        "unprocessed": task.unprocessed,
        "landed": landed,
        "rejected": [[note.row, note.line, note.code, note.reason] for note in notes],
    }


async def main(folder: Path, file: str, wish: dict[str, Any]) -> dict[str, Any]:
    settings = {
        "LEDGER_URL": f"sqlite:///{folder}/ledger.db",
        "FILE_STORE_URL": f"file://{folder}/files",
        "VECTOR_STORE_URL": "digest://",
        "EMBEDDER": "memory",
        "LOCAL_FILES_DIR": str(folder),
    }
    machine = Machine.open(settings, Limits(rejected_share=1.0))
    await machine.ledger.ready()
    (folder / "small.csv").write_text("id,text\n" + "".join(f"{n},a small row\n" for n in range(2_000)))
    await ended(machine, TaskRequest("local", "small.csv", "small", id_column="id"))
    before = memory("VmRSS")
    task = await ended(machine, TaskRequest("local", file, **wish))
    grown = memory("VmHWM") - before
    came_to = await outcome(machine, task)
    await machine.close()
    return came_to | {"grown": grown, "before": before}


if __name__ == "__main__":
    came_to = asyncio.run(main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
    sys.stdout.write(json.dumps(came_to) + "\n")
