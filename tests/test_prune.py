"""Old tasks go with all that was kept of them; what may still be needed stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.config import Settings, settings
from rowvec import steer
from rowvec.errors import UnknownTask
from rowvec.model import DAY, Flag, Task, TaskState
from rowvec.prune import Old, old_tasks, prune
from rowvec.resend import retry_rejected
from tests.test_expiry import Store

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    await made.ledger.ready()
    return made


async def pruned(store: Store, days: float) -> set[str]:
    return {task.id async for task in prune(store.machine, await old_tasks(store.ledger, days))}


async def files_of(store: Store, task: Task) -> list[str]:
    return await store.machine.files.names(f"tasks/{task.id}/")


async def test_what_ended_long_ago_goes_with_its_files(store: Store) -> None:
    """Completed, failed, cancelled; not before it is that old, and its vectors stay."""
    await store.upload("good", "bad", "off")
    store.embedder.ailing = {"bad": ZeroDivisionError("a bug of ours")}
    done, lost = await store.run_upload("good"), await store.run_upload("bad")
    off = await store.submit_upload("off")
    await steer.cancel(store.machine, off)
    assert (done.state, lost.state) == (TaskState.COMPLETED, TaskState.FAILED)
    assert await files_of(store, done)
    vectors = await store.machine.store.count(done.spec.namespace)

    store.later.ahead = 29.9 * DAY
    assert await pruned(store, 30) == set()
    store.later.ahead = 30.1 * DAY
    assert await pruned(store, 30) == {done.id, lost.id, off}

    assert (await store.ledger.tasks()).tasks == []
    for task in (done, lost):
        assert await files_of(store, task) == []
        with pytest.raises(UnknownTask):
            await store.ledger.task(task.id)
    assert await store.machine.store.count(done.spec.namespace) == vectors == 1


async def test_a_task_that_has_not_ended_stays_however_old(store: Store) -> None:
    """Pending and paused ones, with their files; and one that is retried between the look and the deed."""
    await store.upload("waits", "held", "again")
    store.embedder.ailing = {"again": ZeroDivisionError("a bug of ours")}
    again = await store.run_upload("again")
    kept = {await store.submit_upload("waits"), await store.submit_upload("held"), again.id}
    await store.ledger.flag(await store.submit_upload("held"), Flag.PAUSE)
    store.later.ahead = 1_000 * DAY
    found = await old_tasks(store.ledger, 1)
    files = await files_of(store, again)
    await steer.retry(store.machine, again.id)

    assert [task.id for task in found] == [again.id]
    assert [task async for task in prune(store.machine, found)] == []
    assert {task.id for task in (await store.ledger.tasks()).tasks} == kept
    assert await files_of(store, again) == files


async def test_a_task_and_its_children_go_together(store: Store) -> None:
    """As long as one of them is young or at work, the account of the others needs it."""
    await store.machine.files.write("uploads/few.csv", b"id,text\na,one\nb\n")
    parent = await store.run_upload("few")
    child = (await retry_rejected(store.machine, parent.id)).task
    store.later.ahead = 40 * DAY
    assert await pruned(store, 30) == set()
    ended = await store.end_of(child.id)
    assert ended.state.ended
    assert await pruned(store, 30) == set()
    store.later.ahead = 80 * DAY
    assert await pruned(store, 30) == {parent.id, child.id}


async def test_it_goes_on_where_it_broke_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the files of a failed task went: nobody can retry it, and the next time it goes."""
    await store.upload("bad")
    store.embedder.ailing = {"bad": ZeroDivisionError("a bug of ours")}
    lost = await store.run_upload("bad")

    async def killed(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(store.ledger, "forget", killed)
        await pruned(store, -1)
    assert (await store.ledger.task(lost.id)).state is TaskState.CANCELLED
    assert await pruned(store, -1) == {lost.id}


def test_the_command_says_which_and_removes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --dry-run nothing happens but the telling; as words and as JSON."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr("app.cli.door.configure_logging", lambda *_: None)
    table = tmp_path / "t.csv"
    table.write_text("id,text\na,one\n")

    def run(*arguments: str) -> str:
        settings.cache_clear()
        done = CliRunner().invoke(app, arguments)
        settings.cache_clear()
        assert done.exit_code == 0, done.output
        return done.stdout

    monkeypatch.setenv("EMBEDDER", "memory")
    task_id = json.loads(run("run", str(table), "--json"))["task_id"]
    assert run("prune", "--days", "1") == "No task ended more than 1 days ago.\n"
    tried = json.loads(run("prune", "--days", "0", "--dry-run", "--json"))
    assert [task["id"] for task in tried["tasks"]] == [task_id]
    assert tried["tasks"][0].keys() == set(Old.__dataclass_fields__)
    told = run("prune", "--days", "0")
    assert task_id in told and told.endswith("1 tasks are gone; their vectors stay\n")
    assert json.loads(run("tasks", "--json"))["tasks"] == []
    assert list((tmp_path / "files" / "tasks").rglob("*.parquet")) == []
