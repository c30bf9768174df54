"""One task in one process of its own, measured by the operating system's account of that process."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Mapping

from rowvec.intake import TaskRequest, submit
from rowvec.machine import Limits, Machine
from rowvec.worker import Worker


async def run(settings: Mapping[str, str], ref: str) -> dict[str, float]:
    """Submit `ref` of the local folder and work until it has ended; what it cost."""
    machine = Machine.open(settings, Limits())
    await machine.ledger.ready()
    await machine.embedder.ping()
    cpu, began = time.process_time(), time.perf_counter()
    submitted = await submit(machine, TaskRequest("local", ref, id_column="id", text_columns=("body",)))
    stop = asyncio.Event()
    working = asyncio.create_task(Worker(machine).run(stop))
    while not (task := await machine.ledger.task(submitted.task.id)).state.ended:
        await asyncio.sleep(0.1)
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    stop.set()
    await working
    await machine.close()
    if task.state != "completed":
        raise RuntimeError(f"the task ended as {task.state}: {task.error}")
    return {
        "rows": task.counts.read,
        "seconds": seconds,
        "cpu_seconds": spent,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.loads(sys.argv[1]), sys.argv[2]))))
