"""Uploads have an age, and go only when no task can need them any more."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rowvec import paging, steer
from rowvec.expiry import drop_old_uploads
from rowvec.filestores.folder import FolderStore
from rowvec.housekeeping import Housekeeping
from rowvec.intake import TaskRequest, submit
from rowvec.ledgers.base import Page
from rowvec.ledgers.sql import SqlLedger
from rowvec.ledgers.sql.sqlite import Sqlite
from rowvec.model import DAY, Flag, Task, TaskState
from rowvec.uploads import upload_name
from tests.worker_kit import WatchedLedger, Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]


class Later(WatchedLedger):
    """A ledger whose clock is set forward by hand; files keep the time at which they were written."""

    ahead = 0.0

    def __init__(self, url: str) -> None:
        super().__init__(url)
        assert isinstance(self._database, Sqlite)
        clock = self._database.clock
        self._database.clock = lambda: clock() + self.ahead


class Store(Workshop):
    """A workshop of uploads."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ledger = self.later = Later(f"sqlite:///{folder}/ledger.db")
        self.machine = replace(self.machine, ledger=self.ledger)

    async def upload(self, *ids: str) -> None:
        for upload_id in ids:
            await self.machine.files.write(upload_name(upload_id), f"id,text\n{upload_id},a text\n".encode())

    async def submit_upload(self, upload_id: str) -> str:
        await self.ledger.ready()
        return (await submit(self.machine, TaskRequest("upload", upload_id, id_column="id"))).task.id

    async def run_upload(self, upload_id: str) -> Task:
        return await self.end_of(await self.submit_upload(upload_id))

    async def left(self) -> list[str]:
        return [Path(name).stem for name in await self.machine.files.names("uploads/")]


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    await made.ledger.ready()
    return made


async def test_an_upload_goes_when_it_is_older_than_the_setting(store: Store, tmp_path: Path) -> None:
    """Not before, with a task that is as old, and without any."""
    await store.upload("used", "unused")
    assert (await store.run_upload("used")).state is TaskState.COMPLETED
    store.later.ahead = 29.9 * DAY
    assert await drop_old_uploads(store.machine) == []
    store.later.ahead = 30.1 * DAY
    await store.upload("fresh")
    os.utime(tmp_path / "files" / upload_name("fresh"), (await store.ledger.now(),) * 2)

    assert await drop_old_uploads(store.machine) == [upload_name("unused"), upload_name("used")]
    assert await store.left() == ["fresh"]


async def test_zero_days_keep_uploads_for_ever(store: Store) -> None:
    """And nothing is looked at."""
    store.machine = replace(store.machine, limits=replace(store.machine.limits, upload_days=0))
    await store.upload("old")
    store.later.ahead = 10_000 * DAY
    assert await drop_old_uploads(store.machine) == [] and await store.left() == ["old"]


async def test_what_a_task_may_still_read_stays_however_old(store: Store) -> None:
    """Waiting, paused or failed, a task needs its upload; completed and cancelled ones do not."""
    ids = ["waiting", "paused", "failed", "completed", "cancelled"]
    await store.upload(*ids)
    store.embedder.ailing = {"failed": ZeroDivisionError("a bug of ours")}
    assert (await store.run_upload("failed")).state is TaskState.FAILED
    assert (await store.run_upload("completed")).state is TaskState.COMPLETED
    await steer.cancel(store.machine, await store.submit_upload("cancelled"))
    await store.ledger.flag(await store.submit_upload("paused"), Flag.PAUSE)
    await store.submit_upload("waiting")
    store.later.ahead = 1_000 * DAY
    await drop_old_uploads(store.machine)

    assert await store.left() == ["failed", "paused", "waiting"]


async def test_an_old_upload_that_was_used_again_stays(store: Store) -> None:
    """A younger task is enough, also one that has ended, and wherever it stands in the list."""
    await store.upload("again")
    await store.run_upload("again")
    store.later.ahead = 29 * DAY
    await store.run_upload("again")
    store.later.ahead = 31 * DAY
    assert await drop_old_uploads(store.machine) == []
    store.later.ahead = 60 * DAY
    assert await drop_old_uploads(store.machine) == [upload_name("again")]


async def test_tasks_on_every_page_are_asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest task counts as much as the newest."""
    monkeypatch.setattr(paging, "PAGE", 1)
    await store.upload("held", "one", "two")
    await store.ledger.flag(await store.submit_upload("held"), Flag.PAUSE)
    for upload_id in ("one", "two"):
        await store.run_upload(upload_id)
    store.later.ahead = 31 * DAY
    await drop_old_uploads(store.machine)
    assert await store.left() == ["held"]


async def test_a_task_that_comes_meanwhile_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the tasks are read somebody submits the old upload."""
    await store.upload("late")
    await store.run_upload("late")
    store.later.ahead = 31 * DAY
    tasks = SqlLedger.tasks
    submitted: list[str] = []

    async def watched(*arguments: Any, **options: Any) -> Page:
        page = await tasks(*arguments, **options)
        if not submitted:
            submitted.append(await store.submit_upload("late"))
        return page

    monkeypatch.setattr(SqlLedger, "tasks", watched)
    assert await drop_old_uploads(store.machine) == [] and submitted


async def test_a_store_that_cannot_tell_keeps_everything(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is thrown away on a guess."""
    monkeypatch.delattr(FolderStore, "written_at")
    await store.upload("old")
    store.later.ahead = 1_000 * DAY
    assert await drop_old_uploads(store.machine) == []


async def test_slow_housekeeping_does_it(store: Store) -> None:
    """A quick round leaves uploads alone."""
    await store.upload("old")
    store.later.ahead = 31 * DAY
    house = Housekeeping(store.machine)
    await house.quick()
    assert await store.left() == ["old"]
    await house.slow()
    assert await store.left() == []
