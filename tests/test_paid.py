"""What a paused task has paid for is found by whoever goes on with it, and goes when nobody will."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from rowvec import steer
from rowvec.embedders.memory import MemoryEmbedder
from rowvec.embedding import Job
from rowvec.errors import QuotaExhausted, Unavailable
from rowvec.filestores.folder import FolderStore
from rowvec.governor import Governor
from rowvec.housekeeping import Housekeeping
from rowvec.kept import Kept
from rowvec.model import Flag, Hold, Task, TaskState
from rowvec.paid import Paid
from rowvec.removal import remove_vectors
from rowvec.vectors import Embedding
from tests.worker_kit import Workshop

pytestmark = pytest.mark.anyio

TEXTS = [f"text of row {n}." for n in range(50)]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Failures that are meant to happen are logged to nobody."""
    with capture_logs():
        yield


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """Its embedder takes three texts a request, and wants money when it comes to row 7."""
    shop = Workshop(tmp_path)
    shop.embedder.max_inputs = 3
    shop.embedder.ailing = {"row 7.": QuotaExhausted("the embedder wants money")}
    shop.write(TEXTS)
    return shop


def another_process(shop: Workshop) -> None:
    """From now on a worker remembers nothing of what was."""
    shop.machine = replace(shop.machine, kept=Kept(), governor=Governor())


async def paused(shop: Workshop) -> str:
    """The id of a task that has run out of money in its first chunk; nobody works on it any more."""
    task_id = await shop.submit()
    async with shop.worker():
        await shop.ledger.until(task_id, lambda task: task.hold is Hold.PAUSED)
    return task_id


async def resumed(shop: Workshop, task_id: str) -> Task:
    shop.embedder.ailing.clear()
    await shop.ledger.flag(task_id, Flag.RESUME)
    return await shop.end_of(task_id)


async def put_down(shop: Workshop, task_id: str) -> list[str]:
    return await shop.machine.files.names(f"tasks/{task_id}/paid/")


async def test_another_process_pays_for_the_rest_only(shop: Workshop) -> None:
    """Every text is embedded once, lands with its own vector, and is counted; then nothing lies about."""
    task_id = await paused(shop)
    begun = len(shop.embedder.given)
    lying = await put_down(shop, task_id)
    another_process(shop)
    ended = await resumed(shop, task_id)

    assert 0 < begun < 50 and lying
    assert sorted(shop.embedder.given) == sorted(TEXTS)
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 50)
    assert ended.counts.tokens == (await shop.embedder.embed(TEXTS)).tokens
    for n, vector in enumerate((await shop.embedder.embed(TEXTS)).vectors):
        assert np.array_equal(shop.store._vectors("default")[f"row-{n}"].values, vector)
    assert await put_down(shop, task_id) == []


class FullStore(FolderStore):
    """Takes nothing that was paid for."""

    async def write(self, name: str, data: bytes) -> None:
        if "/paid/" in name:
            raise Unavailable("the file store is away")
        await super().write(name, data)


async def test_what_cannot_be_put_down_stays_with_the_worker(shop: Workshop, tmp_path: Path) -> None:
    """The task is paused and goes on all the same, and who has it all in hand pays for the rest only."""
    shop.machine = replace(shop.machine, files=FullStore(tmp_path / "files"))
    task_id = await paused(shop)
    ended = await resumed(shop, task_id)
    assert ended.counts.upserted == 50
    assert sorted(shop.embedder.given) == sorted(TEXTS)


async def cancelled(shop: Workshop, task_id: str) -> None:
    await steer.cancel(shop.machine, task_id)


async def cancelled_while_at_work(shop: Workshop, task_id: str) -> None:
    """As where a worker puts it down after whoever cancelled has looked."""
    await shop.ledger.flag(task_id, Flag.CANCEL)
    await Housekeeping(shop.machine).quick()


async def removed(shop: Workshop, task_id: str) -> None:
    await shop.ledger.flag(task_id, Flag.CANCEL)
    await remove_vectors(shop.machine, task_id)


@pytest.mark.parametrize("end", [cancelled, cancelled_while_at_work, removed])
async def test_nothing_is_left_of_a_task_that_will_not_go_on(shop: Workshop, end: Callable) -> None:
    """Whichever way it ended."""
    task_id = await paused(shop)
    assert await put_down(shop, task_id)
    await end(shop, task_id)
    assert await put_down(shop, task_id) == []


def job(texts: list[str], dimension: int = 4) -> Job:
    return Job(MemoryEmbedder(dimension), Governor(), texts, list(range(len(texts))))


@given(st.lists(st.tuples(st.text(), st.sampled_from(["open", "taken", "refused"])), min_size=1))
def test_what_is_picked_up_is_what_was_put_down(answers: list[tuple[str, str]]) -> None:
    """Each vector in its place, each refusal with its reason; nothing for other texts or another model."""
    texts = [text for text, _ in answers]
    begun = job(texts)
    for n, (_, answer) in enumerate(answers):
        if answer == "taken":
            begun.take(n, n + 1, Embedding(np.full((1, 4), n, np.float32), 10 + n))
        elif answer == "refused":
            begun.refuse(n, f"reason {n}")
    paid = msgspec.msgpack.decode(msgspec.msgpack.encode(begun.paid()), type=Paid)

    for other in (job([*texts, "one more"]), job(texts, 5), job([texts[0] + "x", *texts[1:]])):
        other.recall(paid)
        assert not other._done.any() and other.out.tokens == 0
    again = job(texts)
    again.recall(paid)
    assert [bool(done) for done in again._done] == [answer != "open" for _, answer in answers]
    assert (again.out.refused, again.out.tokens) == (begun.out.refused, begun.out.tokens)
    for n, (_, answer) in enumerate(answers):
        assert answer != "taken" or again.out.vectors[n].tolist() == [n] * 4
