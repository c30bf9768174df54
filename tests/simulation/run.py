"""One run from a seed: faults for a while, then calm, and then everything must come to its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rowvec.ledgers.sql import SqlLedger
from tests.simulation import check
from tests.simulation.faults import Rates
from tests.simulation.goods import Goods
from tests.simulation.nature import simulated
from tests.simulation.payments import beyond
from tests.simulation.problem import Kind, Problem, told
from tests.simulation.process import NOBODY
from tests.simulation.users import Caller
from tests.simulation.world import LEASE, World

WORKERS = 3
LONGEST_STORM = 40.0
PATIENCE = 600.0
"""Seconds after the storm in which all must have ended."""


@dataclass(frozen=True, slots=True)
class Result:
    """`rows` of all tables; texts that were paid `again`, and how many `may` have been."""

    seed: int
    problems: list[Problem]
    trace: list[str]
    digest: str
    faults: Counter[str]
    rows: int
    again: int
    may: int


def run(seed: int, rates: Rates | None = None) -> Result:
    """All of it in virtual time. `rates` go before those that the seed would draw."""
    with TemporaryDirectory(prefix="simulation-") as folder:
        world = World(seed, Path(folder), rates)
        with (
            simulated(seed, world.processes, world.wall, world.loop.time),
            asyncio.Runner(loop_factory=lambda: world.loop) as runner,
        ):
            allowed = Counter[str]()
            try:
                allowed = runner.run(_story(world), context=NOBODY.copy())
            except Exception as error:  # noqa: BLE001 - the seed is told with it
                if not world.broken:
                    world.broken.append(Problem(Kind.OTHER, f"the run broke: {told(error)}"))
            finally:
                world.loop.end()
        world.close()
    paid = world.provider.paid
    return Result(
        seed=seed,
        problems=world.broken,
        trace=world.trace.lines,
        digest=world.trace.digest,
        faults=world.dice.thrown,
        rows=sum(len(goods.table.records) for goods in world.goods),
        again=sum(times - 1 for times in paid.values()),
        may=sum(max(0, allowed[text] - 1) for text in paid),
    )


async def _story(world: World) -> Counter[str]:
    """How often each text may have been paid. What was broken is in the world."""
    await _prepare(world)
    places = [asyncio.create_task(world.work(slot)) for slot in range(WORKERS)]
    allowed = Counter[str]()
    try:
        for goods in world.rounds:
            allowed += await _round(world, goods)
        async with asyncio.timeout(PATIENCE):
            await _leave(world, places)
    except TimeoutError:
        world.broken.append(Problem(Kind.OTHER, f"not ended {PATIENCE:.0f} s after the last fault"))
        return allowed
    allowed += world.provider.spoilt
    world.broken += beyond(world.provider.paid, allowed)
    return allowed


async def _round(world: World, goods: list[Goods]) -> Counter[str]:
    """Submit these, let a storm rage, and see them end. Raises TimeoutError when they do not."""
    callers = [Caller(world, world.machine(world.life(90)), each) for each in goods]
    before = dict(world.stored("one"))
    world.dice.calm = False
    await asyncio.gather(*(caller.submit() for caller in callers))
    await _storm(world, callers)
    world.dice.calm = True
    world.trace.add("calm")
    async with asyncio.timeout(PATIENCE):
        tasks = [await caller.end() for caller in callers]
        await _all_go_on(world)
    allowed = Counter[str]()
    machine = world.machine(world.life(99))
    for caller, task in zip(callers, tasks, strict=True):
        there = before if caller.goods.namespace == "one" else {}
        world.broken += await check.problems(world, machine, caller.goods, task.id, there)
        allowed += world.payments.allowed(caller.goods, task.id, await machine.ledger.chunks(task.id))
    return allowed


async def _prepare(world: World) -> None:
    """A ledger's file, where it has one."""
    if isinstance(ledger := world.ledger(), SqlLedger):
        await ledger.ready()


async def _storm(world: World, callers: list[Caller]) -> None:
    """Until all tasks have ended, or for a while."""
    storm: list[asyncio.Future[Any]] = [
        asyncio.create_task(each) for each in (_jumps(world), _deploys(world), *(c.wish() for c in callers))
    ]
    ends = asyncio.gather(*(caller.end() for caller in callers))
    await asyncio.wait([ends], timeout=world.chance.random() * LONGEST_STORM)
    for each in (ends, *storm):
        each.cancel()
    await asyncio.gather(ends, *storm, return_exceptions=True)


async def _all_go_on(world: World) -> None:
    """Whoever was stopped has gone on, and done what it had in hand."""
    while any(life.stopped and not life.gone for life in world.lives):
        await asyncio.sleep(1.0)
    await asyncio.sleep(3.0)


async def _leave(world: World, places: list[asyncio.Task[None]]) -> None:
    """Every worker leaves in peace, and none comes after it."""
    world.closing = True
    for worked in world.working.values():
        worked.stop.set()
    await asyncio.gather(*places)


async def _jumps(world: World) -> None:
    while True:
        await asyncio.sleep(world.chance.expovariate(1 / world.dice.rates.seconds_to_jump))
        world.jump(world.chance.uniform(-2, 2) * LEASE)


async def _deploys(world: World) -> None:
    """A worker is told to stop; another takes its place."""
    while True:
        await asyncio.sleep(world.chance.expovariate(1 / world.dice.rates.seconds_to_deploy))
        if world.working:
            slot = world.chance.choice(sorted(world.working))
            world.trace.add(f"{world.working[slot].life} is told to stop")
            world.working[slot].stop.set()
