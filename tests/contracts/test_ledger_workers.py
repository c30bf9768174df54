"""What every ledger promises of workers, namespaces and keys, held against every backend."""

from __future__ import annotations

import asyncio

import pytest

from rowvec.api_key import ApiKey
from rowvec.errors import (
    NamespaceTaken,
    UnknownKey,
)
from rowvec.ledgers.base import MAX_CRASHES, Ledger
from rowvec.model import ChunkState, Flag, TaskState, WorkKind
from tests.contracts.ledger_kit import (
    ROWS,
    Clock,
    chunk_of,
    plan,
    plan_claim,
    planned_task,
    settle_claim,
    worker,
)

pytestmark = pytest.mark.anyio


# Workers


async def test_beat_and_burial(ledger: Ledger, clock: Clock) -> None:
    """A beat renews a living worker and says what it holds and waits for; after burial it is False."""
    clock.at += 7
    assert await ledger.beat("w", 3, {"some-task": "The “store” is away."})
    found = {w.id: (w.holding, w.beat_at, w.alive, w.waits) for w in await ledger.workers()}
    waits = {"some-task": "The “store” is away."}
    assert found == {"w": (3, clock.at, True, waits), "v": (0, clock.at - 7, True, {})}
    assert await ledger.beat("w", 3)
    assert [w.waits for w in await ledger.workers()] == [{}, {}]
    await ledger.bury(["w"])
    assert not await ledger.beat("w", 3)
    assert not await ledger.beat("stranger", 0)
    assert [w.id for w in await ledger.workers()] == ["v"]


async def test_bury_takes_everything_back(ledger: Ledger) -> None:
    """Plan, settling and chunks of the dead are claimed by others, and one crash is counted."""
    settle, task = await settle_claim(ledger), await planned_task(ledger, 2, "b")
    claims = [settle, *await ledger.claim("w", 2), await plan_claim(ledger, "c")]
    assert [await ledger.holds("w", claim) for claim in claims] == [True] * 4
    assert [await ledger.holds("v", claim) for claim in claims] == [False] * 4
    assert await ledger.bury(["w", "w", "stranger"]) == 4
    assert await ledger.bury(["w"]) == 0
    assert [await ledger.holds("w", claim) for claim in claims] == [False] * 4
    assert [(c.crashes, c.attempts) for c in await ledger.chunks(task.id)] == [(1, 0), (1, 0)]
    kinds = [claim.kind for claim in await ledger.claim("v", 9)]
    assert kinds == [WorkKind.PLAN, WorkKind.SETTLE, WorkKind.CHUNK, WorkKind.CHUNK]


async def test_retire_counts_no_crash(ledger: Ledger) -> None:
    """What a leaving worker holds goes back at once, without a crash."""
    task = await planned_task(ledger, 1)
    chunk, plan_of = (await ledger.claim("w", 1))[0], await plan_claim(ledger, "b")
    await ledger.retire("w")
    assert [w.id for w in await ledger.workers()] == ["v"]
    assert not await ledger.beat("w", 0)
    (free,) = await ledger.chunks(task.id)
    assert (free.state, free.crashes, free.attempts) == (ChunkState.READY, 0, 0)
    assert not any([await ledger.holds("w", chunk), await ledger.holds("w", plan_of)])
    assert len(await ledger.claim("v", 5)) == 2


@pytest.mark.parametrize("leave", ["bury", "retire"])
async def test_cancelling_ends_with_its_worker(ledger: Ledger, leave: str) -> None:
    """A cancelled task whose last worker dies or leaves has ended."""
    task = await planned_task(ledger, 2)
    await ledger.claim("w", 2)
    await ledger.flag(task.id, Flag.CANCEL)
    await (ledger.bury(["w"]) if leave == "bury" else ledger.retire("w"))
    assert (await ledger.task(task.id)).state is TaskState.CANCELLED


async def test_chunk_that_kills_its_workers(ledger: Ledger) -> None:
    """A chunk is tried again after MAX_CRASHES deaths and given up after one more; retry forgives."""
    task = await planned_task(ledger, 1)
    for death in range(MAX_CRASHES + 1):
        await ledger.enlist(worker(f"w{death}"))
        (claim,) = await ledger.claim(f"w{death}", 1)
        assert (claim.fence, chunk_of(claim).crashes) == (death + 1, death)
        await ledger.bury([f"w{death}"])
    ended = await ledger.task(task.id)
    assert (ended.state, ended.chunks_failed, ended.rows_failed) == (TaskState.FAILED, 1, ROWS)
    (chunk,) = await ledger.chunks(task.id)
    assert (chunk.state, chunk.crashes) == (ChunkState.FAILED, MAX_CRASHES + 1)
    assert str(MAX_CRASHES + 1) in (chunk.error or "")
    await ledger.flag(task.id, Flag.RETRY)
    assert (await ledger.chunks(task.id))[0].crashes == 0


@pytest.mark.parametrize("kind", [WorkKind.PLAN, WorkKind.SETTLE])
async def test_task_that_kills_its_workers(ledger: Ledger, kind: WorkKind) -> None:
    """A plan or a settling that killed more than MAX_CRASHES workers fails its task; retry forgives."""
    task_id = (await (settle_claim if kind is WorkKind.SETTLE else plan_claim)(ledger)).task.id
    await ledger.bury(["w"])
    for death in range(MAX_CRASHES):
        assert not (await ledger.task(task_id)).state.ended
        await ledger.enlist(worker(f"w{death}"))
        assert [c.kind for c in await ledger.claim(f"w{death}", 1)] == [kind]
        await ledger.bury([f"w{death}"])
    ended = await ledger.task(task_id)
    assert (ended.state, ended.worker) == (TaskState.FAILED, None)
    assert str(MAX_CRASHES + 1) in (ended.error or "")
    await ledger.flag(task_id, Flag.RETRY)
    assert [c.kind for c in await ledger.claim("v", 1)] == [kind]
    await ledger.bury(["v"])
    assert not (await ledger.task(task_id)).state.ended


async def test_plan_that_comes_on_is_not_given_up(ledger: Ledger) -> None:
    """However many workers die over it: only deaths since it last came on count, and so do attempts."""
    claim = await plan_claim(ledger)
    task_id = claim.task.id
    await ledger.release(task_id, claim.fence, "a bad day", 0.0)
    for number in range(2 * MAX_CRASHES):
        await ledger.enlist(worker(f"w{number}"))
        [claim] = await ledger.claim(f"w{number}", 1)
        await ledger.append_chunks(task_id, claim.fence, [plan(number)])
        await ledger.bury([f"w{number}"])
    task = await ledger.task(task_id)
    assert (task.state, task.attempts, task.error) == (TaskState.PLANNING, 0, None)


async def test_sweep_buries_the_silent(ledger: Ledger, clock: Clock) -> None:
    """A worker is dead once its beat is older than the lease, by the ledger's clock, not before."""
    task = await planned_task(ledger, 3)
    await ledger.claim("w", 2)
    await ledger.claim("v", 1)
    clock.at += 60
    assert await ledger.sweep(60) == 0
    await ledger.beat("v", 1)
    clock.at += 0.5
    assert await ledger.sweep(60) == 2
    assert [w.id for w in await ledger.workers()] == ["v"]
    states = [c.state for c in await ledger.chunks(task.id)]
    assert states == [ChunkState.READY, ChunkState.READY, ChunkState.CLAIMED]


async def test_enlist_again(ledger: Ledger, clock: Clock) -> None:
    """A worker that enlists anew after its burial gets work again."""
    await planned_task(ledger, 1)
    await ledger.bury(["w"])
    clock.at += 1_000
    await ledger.enlist(worker("w"))
    await ledger.sweep(60)
    assert len(await ledger.claim("w", 1)) == 1


# Namespaces and keys


async def test_namespaces(ledger: Ledger) -> None:
    """A namespace stays with its model and dimension; the refusal names both."""
    for _ in range(2):
        await ledger.bind_namespace("default", "small", 4)
    await ledger.bind_namespace("other", "large", 8)
    for model, dimension in (("large", 4), ("small", 8)):
        with pytest.raises(NamespaceTaken, match=rf"small \(4 .*{model} \({dimension} "):
            await ledger.bind_namespace("default", model, dimension)


async def test_keys(ledger: Ledger, clock: Clock) -> None:
    """Keys are found by id, revoked once, and never overwritten."""
    key = ApiKey("a", "00", "first", 5.0)
    assert await ledger.add_key(key)
    assert not await ledger.add_key(ApiKey("a", "11", "thief"))
    assert (await ledger.key("a"), await ledger.key("b")) == (key, None)
    await ledger.revoke_key("a")
    clock.at += 5
    await ledger.revoke_key("a")
    assert await ledger.keys() == [ApiKey("a", "00", "first", 5.0, clock.at - 5)]
    with pytest.raises(UnknownKey):
        await ledger.revoke_key("b")


async def test_first_key_race(ledger: Ledger) -> None:
    """Of several first keys at once exactly one is stored; a revoked key still counts."""
    offers = [ApiKey(str(n), "00", "first") for n in range(8)]
    won = await asyncio.gather(*(ledger.add_key(key, only_if_none=True) for key in offers))
    assert sum(won) == 1
    (only,) = await ledger.keys()
    await ledger.revoke_key(only.id)
    assert not await ledger.add_key(ApiKey("late", "00", "late"), only_if_none=True)
    assert await ledger.add_key(ApiKey("late", "00", "late"))
