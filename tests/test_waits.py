"""What a task waits for is told wherever it is looked at, as long as somebody alive waits."""

from __future__ import annotations

import pytest

from app.api.status import status_of
from app.api.views import TaskList
from rowvec.ledgers.memory import MemoryLedger
from rowvec.model import WorkerInfo
from tests.contracts.ledger_kit import spec

pytestmark = pytest.mark.anyio


async def test_a_list_says_what_its_tasks_wait_for() -> None:
    """As the status of each does; nothing where all who said so have gone."""
    ledger = MemoryLedger()
    waiting = (await ledger.submit(spec("a"))).task
    working = (await ledger.submit(spec("b"))).task
    for name, words in (("one", "OpenAI is away."), ("two", "Pinecone is away.")):
        await ledger.enlist(WorkerInfo(name, "host", 1, 0.0, 1))
        await ledger.beat(name, 1, {waiting.id: words})
    listed = (await TaskList.of(ledger, await ledger.tasks(10))).tasks
    told = {view.task_id: view.waits_for for view in listed}
    assert told == {waiting.id: "OpenAI is away. Pinecone is away.", working.id: None}
    assert (await status_of(ledger, waiting)).waits_for == told[waiting.id]

    await ledger.retire("two")
    [_, view] = (await TaskList.of(ledger, await ledger.tasks(10))).tasks
    assert view.waits_for == "OpenAI is away."
