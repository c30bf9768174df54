"""A worker of the version before and one of this do one task together, while the ledger changes its shape."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from rowvec.intake import TaskRequest, submit
from rowvec.ledgers.sql import shape
from rowvec.model import TaskState
from rowvec.rejected import done_chunks
from rowvec.verify import verify
from rowvec.worker import Worker
from tests.contracts.ledger_kit import SQL
from tests.contracts.previous_worker import SHAPE, UNKNOWN, opened
from tests.contracts.test_ledger_shape import climbed, on
from tests.http_service import ROOT

pytestmark = pytest.mark.anyio

ROWS, PATIENCE = 1_500, 90.0


def started(url: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contracts.previous_worker", url, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kind", sorted(SQL))
async def test_an_old_worker_and_a_new_one_share_a_task(kind: str, tmp_path: Path) -> None:
    """Both do chunks of it, at the same time; none is lost or doubled, and the index agrees."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "rows.csv").write_text("id,text\n" + "".join(f"r{n},text {n}\n" for n in range(ROWS)))
    url = SQL[kind](tmp_path)
    climbed(url, SHAPE)
    with started(url, tmp_path) as old:
        assert old.stdin and old.stdout
        assert await asyncio.to_thread(old.stdout.readline) == "ready\n"
        machine, stop = opened(url, tmp_path), asyncio.Event()
        await machine.ledger.ready()
        assert on(url, shape.is_today)
        wish = TaskRequest("local", "rows.csv", "default", 10, id_column="id", text_columns=["text"])
        task_id = (await submit(machine, wish)).task.id
        async with asyncio.timeout(PATIENCE):
            while not (await machine.ledger.task(task_id)).chunks_done:
                await asyncio.sleep(0.01)
            new = asyncio.create_task(Worker(machine, poll=0.01).run(stop))
            while not (task := await machine.ledger.task(task_id)).state.ended:
                await asyncio.sleep(0.05)
        old.stdin.close()
        stop.set()
        await new
        assert await asyncio.to_thread(old.wait, PATIENCE) == 0
    chunks = [chunk async for chunk in done_chunks(machine.ledger, task_id)]
    told = await verify(machine, task_id)
    await machine.close()

    assert (task.state, task.counts.upserted, len(chunks)) == (TaskState.COMPLETED, ROWS, ROWS // 10)
    assert told.ok and told.stored == told.found == ROWS
    by_old = [chunk for chunk in chunks if all(getattr(chunk, name) is None for name in UNKNOWN["chunk"])]
    assert 0 < len(by_old) < len(chunks)
