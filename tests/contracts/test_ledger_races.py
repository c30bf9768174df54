"""Every backend under many at once: workers who finish, fail and die, and callers who change their minds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from rowvec.errors import LeaseLost, WrongState
from rowvec.ledgers.base import Ledger
from rowvec.model import ChunkFiles, ChunkState, Claim, Counts, Flag, Hold, Task, TaskState, WorkKind
from tests.contracts.ledger_kit import (
    BACKENDS,
    READ,
    ROWS,
    Clock,
    number_of,
    planned_task,
    spec,
    totals,
    worker,
)

pytestmark = pytest.mark.anyio

TASKS, CHUNKS, WORKERS, TURNS = 3, 20, 5, 15


@pytest.fixture(params=sorted(BACKENDS))
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    made = BACKENDS[request.param](tmp_path, Clock())
    await made.ready()
    await made.enlist(worker("w"))
    yield made
    await made.close()


class Turmoil:
    """What was handed out and what landed, as those saw it who did it. `held` are tasks on hold for sure."""

    def __init__(self, ledger: Ledger, tasks: list[Task], seed: int) -> None:
        self.ledger = ledger
        self.tasks = tasks
        self.random = Random(seed)
        self.given: Counter[tuple[str, int, int]] = Counter()
        self.landed: Counter[tuple[str, int]] = Counter()
        self.held: set[str] = set()

    async def run(self) -> None:
        await asyncio.gather(*(self._worker(f"{n}") for n in range(WORKERS)), self._caller(), self._sweeper())

    async def _worker(self, name: str) -> None:
        await self.ledger.enlist(worker(name))
        for _ in range(TURNS):
            held = set(self.held)
            claims = [c for c in await self.ledger.claim(name, self.random.randint(1, 4)) if c.chunk]
            self.given.update((c.task.id, number_of(c), c.fence) for c in claims)
            assert not any(claim.task.id in held & self.held for claim in claims)
            await asyncio.gather(*(self._work(claim) for claim in claims))
            if not await self.ledger.beat(name, 0):
                await self.ledger.enlist(worker(name))
        await self.ledger.retire(name)

    async def _work(self, claim: Claim) -> None:
        place = (claim.task.id, number_of(claim), claim.fence)
        fate = self.random.random()
        try:
            if fate < 0.6:
                await self.ledger.commit(*place, READ, ChunkFiles())
                self.landed[place[:2]] += 1
            elif fate < 0.75:
                await self.ledger.hand_back(*place, "again", 0.0)
            elif fate < 0.85:
                await self.ledger.give_up(*place, "no")
        except LeaseLost:
            return

    async def _caller(self) -> None:
        for _ in range(TURNS * 2):
            task = self.random.choice(self.tasks)
            for flag in self.random.choice(
                [(Flag.PAUSE, Flag.RESUME), (Flag.RETRY,), (Flag.PAUSE, Flag.RESUME)]
            ):
                self.held.discard(task.id)
                try:
                    after = await self.ledger.flag(task.id, flag)
                except WrongState:
                    continue
                if after.hold is Hold.PAUSED:
                    self.held.add(task.id)
        with suppress(WrongState):  # it may have failed by now
            await self.ledger.flag(self.tasks[0].id, Flag.CANCEL)

    async def _sweeper(self) -> None:
        for _ in range(TURNS):
            dead = self.random.sample(range(WORKERS), 2)
            await asyncio.gather(self.ledger.bury([f"{n}" for n in dead]), self.ledger.sweep(60))


@pytest.mark.parametrize("seed", range(2))
async def test_turmoil(ledger: Ledger, seed: int) -> None:
    """Nothing is given twice or lands twice, nothing of a task on hold is given, and the sums are exact."""
    tasks = [await planned_task(ledger, CHUNKS, f"{n}") for n in range(TASKS)]
    turmoil = Turmoil(ledger, tasks, seed)
    async with asyncio.timeout(120):
        await turmoil.run()
    assert set(turmoil.given.values()) == {1}
    assert set(turmoil.landed.values()) == {1}
    for task in tasks:
        await audit(ledger, task.id, {number for task_id, number in turmoil.landed if task_id == task.id})


async def audit(ledger: Ledger, task_id: str, landed: set[int]) -> None:
    """The task's sums are those of its chunks, and it stands where they allow."""
    task, chunks = await ledger.task(task_id), await ledger.chunks(task_id)
    by_state = {state: [c for c in chunks if c.state is state] for state in ChunkState}
    done, failed = by_state[ChunkState.DONE], by_state[ChunkState.FAILED]
    assert {chunk.plan.number for chunk in done} == landed
    assert by_state[ChunkState.CLAIMED] == []
    assert task.counts == sum((chunk.counts for chunk in done), Counts())
    assert (task.chunks_done, task.chunks_failed) == (len(done), len(failed))
    assert task.rows_failed == len(failed) * ROWS
    if task.hold is Hold.NONE and task.state is TaskState.PROCESSING:
        assert by_state[ChunkState.READY]
    else:
        assert task.state in (TaskState.SETTLING, TaskState.FAILED, TaskState.CANCELLED) or task.hold


async def test_cancel_and_claim_at_once(ledger: Ledger) -> None:
    """Whichever comes first, a cancelled task has no claimed chunk: it ends when the last one is back."""
    for round in range(20):
        task = await planned_task(ledger, 2, f"{round}")
        _, claims = await asyncio.gather(ledger.flag(task.id, Flag.CANCEL), ledger.claim("w", 2))
        mine = [claim for claim in claims if claim.task.id == task.id]
        after = await ledger.task(task.id)
        assert after.state is (TaskState.PROCESSING if mine else TaskState.CANCELLED)
        for claim in mine:
            await ledger.commit(task.id, number_of(claim), claim.fence, READ, ChunkFiles())
        assert (await ledger.task(task.id)).state is TaskState.CANCELLED


async def test_burial_and_claim_at_once(ledger: Ledger) -> None:
    """Whichever comes first, the dead hold nothing."""
    for round in range(20):
        task = await planned_task(ledger, 2, f"{round}")
        await ledger.enlist(worker("d"))
        await asyncio.gather(ledger.claim("d", 2), ledger.bury(["d"]), ledger.beat("d", 0))
        assert [worker.id for worker in await ledger.workers()] == ["w"]
        assert {chunk.state for chunk in await ledger.chunks(task.id)} == {ChunkState.READY}
        await ledger.flag(task.id, Flag.CANCEL)


async def test_planners_at_once(ledger: Ledger) -> None:
    """A task is planned by one worker, and settled by one, however many ask at the same moment."""
    names = [f"{n}" for n in range(4)]
    await asyncio.gather(*(ledger.enlist(worker(name)) for name in names))
    for round in range(10):
        task = (await ledger.submit(spec(f"{round}"))).task
        for kind in (WorkKind.PLAN, WorkKind.SETTLE):
            claims = await asyncio.gather(*(ledger.claim(name, 2) for name in names))
            (claim,) = [claim for many in claims for claim in many]
            assert (claim.kind, claim.task.id) == (kind, task.id)
            if kind is WorkKind.PLAN:
                await ledger.planned(task.id, claim.fence, totals(0))
        await ledger.settled(task.id, claim.fence, 0, 0)


async def test_last_commits_at_once(ledger: Ledger) -> None:
    """Of commits that are the last together one sees the end."""
    for round in range(10):
        task = await planned_task(ledger, 4, f"{round}")
        claims = await ledger.claim("w", 4)
        commits = ((task.id, number_of(claim), claim.fence, READ, ChunkFiles()) for claim in claims)
        await asyncio.gather(*(ledger.commit(*commit) for commit in commits))
        assert (await ledger.task(task.id)).state is TaskState.SETTLING
        await ledger.flag(task.id, Flag.CANCEL)


async def test_claims_of_one_worker_at_once(ledger: Ledger) -> None:
    """Together they hold no more of a task than it may."""
    await planned_task(ledger, 9)
    claims = await asyncio.gather(*(ledger.claim("w", 2, lambda _: 3) for _ in range(4)))
    assert sum(len(many) for many in claims) == 3
