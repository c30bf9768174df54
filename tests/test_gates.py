"""A provider that a person has paused is not called by anybody, and work goes on where it stood."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from app.api.status import status_of
from rowvec import gates
from rowvec.errors import InvalidRequest, ProviderPaused, Unavailable
from rowvec.gates import ASK_SECONDS, EMBEDDER, VECTOR_STORE, Gates
from rowvec.gauges import gauges
from rowvec.ledgers.memory import MemoryLedger
from rowvec.meter import Meter
from rowvec.model import ChunkState, ProviderPause, TaskState
from rowvec.search import search
from rowvec.usage import WINDOW_SECONDS, Usage
from tests.contracts.ledger_kit import worker
from tests.virtual_time import run
from tests.worker_kit import Workshop

pytestmark = pytest.mark.usefixtures("quiet")

TEXTS = [f"text of row {n}." for n in range(60)]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    settings = {**made.machine.settings, "VECTOR_STORE_URL": "memory://"}
    made.machine = replace(made.machine, settings=settings)
    made.write(TEXTS)
    return made


class AskedLedger(MemoryLedger):
    """Counts how often it is asked for pauses; while `away` it does not answer."""

    asked = 0
    away = False

    async def provider_pauses(self) -> list[ProviderPause]:
        self.asked += 1
        if self.away:
            raise Unavailable("the ledger is away")
        return await super().provider_pauses()


def test_the_ledger_is_asked_once_a_second() -> None:
    """By all who ask together or soon after; and while it is away, what it told last goes on holding."""

    async def check() -> None:
        ledger, known = AskedLedger(), Gates()
        await asyncio.gather(*(known.check(ledger, EMBEDDER) for _ in range(9)))
        await gates.pause(ledger, EMBEDDER, "new contract")
        await known.check(ledger, EMBEDDER)
        assert ledger.asked == 1
        await asyncio.sleep(ASK_SECONDS)
        with pytest.raises(ProviderPaused, match=r"the embedder were paused by hand .*\(new contract\)"):
            await known.check(ledger, EMBEDDER)
        await known.check(ledger, VECTOR_STORE)
        ledger.away = True
        await asyncio.sleep(ASK_SECONDS)
        with pytest.raises(ProviderPaused):
            await known.check(ledger, EMBEDDER)
        ledger.away = False
        await gates.resume(ledger, EMBEDDER)
        await asyncio.sleep(ASK_SECONDS)
        await known.check(ledger, EMBEDDER)

    run(check())


def test_a_provider_that_is_none() -> None:
    """Is refused by name, when it is paused and when it is resumed."""
    ledger = MemoryLedger()
    for wish in (gates.pause(ledger, "openai", "no"), gates.resume(ledger, "openai")):
        with pytest.raises(InvalidRequest, match="embedder and vector_store"):
            asyncio.run(wish)


@pytest.mark.anyio
@pytest.mark.parametrize("provider", [EMBEDDER, VECTOR_STORE])
async def test_nothing_is_handed_out_meanwhile(shop: Workshop, provider: str) -> None:
    """Tasks are planned and keep their place; what they wait for is told; after the resume all is done."""
    task_id = await shop.submit()
    await gates.pause(shop.ledger, provider, "moving house")
    async with shop.worker():
        task = await shop.ledger.until(task_id, lambda task: task.planned)
        view = await status_of(shop.ledger, task)
        assert view.waits_for and "moving house" in view.waits_for and view.waits_for.endswith(gates.UNTIL)
        with pytest.raises(ProviderPaused):
            await search(shop.machine, "default", "anything")
        assert shop.embedder.calls == 0 and shop.store.written == []
        await gates.resume(shop.ledger, provider)
        assert (await shop.ledger.end_of(task_id)).state is TaskState.COMPLETED
    assert len(await shop.stored()) == len(TEXTS)


@pytest.mark.anyio
async def test_what_is_in_hand_goes_back(shop: Workshop) -> None:
    """A chunk whose vectors are paid for when the store is paused is handed back without an attempt, and
    what was paid is not paid again, by whichever process goes on."""
    shop.embedder.held = "row 5."
    task_id = await shop.submit(chunk_size=60)
    async with shop.worker():
        await shop.embedder.entered.wait()
        await gates.pause(shop.ledger, VECTOR_STORE, "moving house")
        shop.machine.gates._asked_at = float("-inf")
        shop.embedder.opened.set()
        async with asyncio.timeout(30):
            while (await shop.ledger.chunks(task_id))[0].state is not ChunkState.READY:
                await asyncio.sleep(0.01)
    (chunk,) = await shop.ledger.chunks(task_id)
    assert (chunk.attempts, chunk.error, chunk.last_worker is None) == (0, None, False)
    assert shop.store.written == [] and len(shop.embedder.given) == len(TEXTS)
    await gates.resume(shop.ledger, VECTOR_STORE)
    shop.machine.gates._asked_at = float("-inf")
    assert (await shop.end_of(task_id)).state is TaskState.COMPLETED
    assert len(shop.embedder.given) == len(TEXTS)


@pytest.mark.anyio
async def test_gauges_add_up(shop: Workshop) -> None:
    """What workers tell with their beats is one picture: sums of what is used, the longest quiet, pauses."""
    await shop.ledger.ready()
    await gates.pause(shop.ledger, VECTOR_STORE, "moving house")
    await shop.ledger.enlist(worker("w"))
    usage = Usage({"some-task": 2}, 120, 6_000, 3, 20.0, 50.0, 60_000.0)
    assert await shop.ledger.beat("w", 2, {}, usage)
    found = await gauges(shop.machine)
    embedder, store = found.providers
    assert (embedder.requests_per_second, embedder.most_requests_per_second) == (2.0, 50.0)
    assert (embedder.tokens_per_minute, embedder.most_tokens_per_minute) == (6_000.0, 60_000.0)
    assert (embedder.queued, embedder.pause) == (3, None)
    assert embedder.quiet_until is not None and embedder.quiet_until > found.now
    assert store.pause is not None and store.pause.reason == "moving house"
    assert [one.usage.pieces for one in found.workers] == [{"some-task": 2}]


def test_the_meter_forgets() -> None:
    """What was sent more than a minute ago is not counted; it holds one sum a second."""
    meter = Meter()
    for tenth in range(1_000):
        meter.add(tenth / 10, 1, 5)
    assert meter.sums(99.9) == (600, 3_000)
    assert len(meter._seconds) == WINDOW_SECONDS
    assert meter.sums(99.9 + WINDOW_SECONDS + 1) == (0, 0)
