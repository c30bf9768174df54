"""The embedded worker looks for work at once when it is woken, and not only when it is time to look."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.assembly import assemble
from app.config import Settings
from app.workers.doorbell import LocalDoorbell
from app.workers.embedded import Supervisor
from rowvec.intake import TaskRequest, submit
from rowvec.machine import Machine
from rowvec.model import TaskState

pytestmark = pytest.mark.anyio
RARELY = """
import functools, sys
from app.workers import embedded
from rowvec.worker import Worker

embedded.Worker = functools.partial(Worker, poll=3600.0)
sys.exit(embedded.main([embedded.SUPERVISED]))
"""
PATIENCE = 60.0


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a folder with one table, and a worker that looks once an hour."""
    (tmp_path / "rows.csv").write_text("id,text\na,one\nb,two\n")
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nexec {shlex.join([sys.executable, '-c', RARELY])}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    parts = {"EMBEDDER": "memory", "VECTOR_STORE_URL": "digest://", "LOCAL_FILES_DIR": str(tmp_path)}
    for name, value in {**parts, "DATA_DIR": str(tmp_path / "data")}.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
async def machine(config: Settings) -> AsyncIterator[Machine]:
    machine = assemble(config)
    await machine.ledger.ready()
    yield machine
    await machine.close()


async def test_a_submission_wakes_the_worker_that_this_process_keeps(
    config: Settings, machine: Machine
) -> None:
    supervisor = Supervisor(config)
    doorbell = LocalDoorbell(supervisor.wake)
    await doorbell.ring()  # nobody is there yet
    await supervisor.start()
    try:
        async with asyncio.timeout(PATIENCE):
            while not await machine.ledger.workers():
                await asyncio.sleep(0.05)
            wish = TaskRequest("local", "rows.csv", "default", id_column="id", text_columns=["text"])
            task = (await submit(machine, wish)).task
            await doorbell.ring()
            while not task.state.ended:
                await asyncio.sleep(0.05)
                task = await machine.ledger.task(task.id)
    finally:
        await supervisor.stop()
    assert task.state is TaskState.COMPLETED
