"""What a killed worker of this host held is seen at once, and done by whoever saw it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rowvec import sweeper
from rowvec.ledgers.base import Ledger
from rowvec.ledgers.memory import MemoryLedger
from rowvec.model import TaskState, WorkerInfo
from rowvec.sweeper import Sweeper, this_host
from tests.worker_kit import PATIENCE, Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]

NEVER = 3600.0


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """A process of this host that ends when it is killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


async def enlisted(ledger: Ledger, process: subprocess.Popen[bytes]) -> str:
    """The id of a worker in this process."""
    began = psutil.Process(process.pid).create_time()
    await ledger.enlist(WorkerInfo("neighbour", this_host(), process.pid, began, 2))
    return "neighbour"


async def test_a_process_that_ends_is_seen_before_the_next_round_is_due(
    neighbour: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "LONGEST_PAUSE", NEVER)
    ledger = MemoryLedger()
    rounds = Sweeper(ledger, 4 * NEVER)
    await enlisted(ledger, neighbour)
    await rounds.round()
    pause = asyncio.create_task(rounds.pause())
    neighbour.kill()
    async with asyncio.timeout(PATIENCE):
        await pause
    await rounds.round()
    assert await ledger.workers() == []


async def test_others_are_told_when_a_plan_has_handed_in_the_rest(tmp_path: Path) -> None:
    """Whoever came with the first two chunks found none left."""
    shop = Workshop(tmp_path)
    shop.write(["a row"] * 9)
    task_id = await shop.submit(chunk_size=1)
    rung: list[int] = []

    async def ring() -> None:
        rung.append((await shop.ledger.task(task_id)).chunks_total)

    async with shop.worker(poll=NEVER, ring=ring) as worker:
        await worker.rest()
        await shop.ledger.end_of(task_id)

    assert rung[-1] == 9


async def test_who_takes_work_back_does_it_at_once_and_wakes_the_others(
    tmp_path: Path, neighbour: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it looks for work by itself only once an hour."""
    monkeypatch.setattr(sweeper, "LOOK_SECONDS", 0.01)
    shop = Workshop(tmp_path)
    shop.write(["one row"])
    task_id = await shop.submit()
    [plan] = await shop.ledger.claim(await enlisted(shop.ledger, neighbour), 1)
    rung: list[TaskState] = []

    async def ring() -> None:
        rung.append((await shop.ledger.task(task_id)).state)

    async with shop.worker(poll=NEVER, ring=ring) as worker:
        await worker.rest()
        neighbour.kill()
        ended = await shop.ledger.end_of(task_id)

    assert (plan.task.id, ended.state) == (task_id, TaskState.COMPLETED)
    assert len(rung) == len(("it was taken back", "there are chunks of a new task"))
