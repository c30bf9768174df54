"""Callers: they submit, and while faults last they pause, resume, cancel and retry as they please."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rowvec import steer
from rowvec.errors import RequestRefused, RetryLater
from rowvec.intake import submit
from rowvec.machine import Machine
from rowvec.model import Flag, Hold, Task, TaskState
from tests.simulation.goods import Goods
from tests.simulation.world import World

T = TypeVar("T")
CANCELS = 0.05
"""Of all wishes."""


class Caller:
    """The caller of one task, through a process that answers requests and never dies."""

    def __init__(self, world: World, machine: Machine, goods: Goods) -> None:
        self._world = world
        self._machine = machine
        self._chance = world.stream(f"caller of {goods.upload}")
        self.goods = goods
        self.task_id = ""

    async def submit(self) -> None:
        """Again and again under one key, until there is an answer; then somebody is rung for."""
        key = f"wish for {self.goods.upload}"
        asked = await self._insist(lambda: submit(self._machine, self.goods.request, key))
        self.task_id = asked.task.id
        await self._world.ring()

    async def wish(self) -> None:
        """Whatever comes to mind, as long as faults last."""
        while not self._world.dice.calm:
            await asyncio.sleep(self._chance.expovariate(1 / self._world.dice.rates.seconds_to_wish))
            if not self._world.dice.calm:
                await self._once()

    async def _once(self) -> None:
        cancels = self._chance.random() < CANCELS
        flag = Flag.CANCEL if cancels else self._chance.choice((Flag.PAUSE, Flag.RESUME, Flag.RETRY))
        self._world.trace.add(f"the caller of {self.goods.namespace} wishes: {flag}")
        self._world.dice.thrown["wish"] += 1
        try:
            await self._steered(flag)
        except (RequestRefused, RetryLater) as error:
            self._world.trace.add(f"refused: {error.code}")

    async def _steered(self, flag: Flag) -> Task:
        match flag:
            case Flag.PAUSE:
                return await self._machine.ledger.flag(self.task_id, flag, "lunch")
            case Flag.RESUME:
                return await steer.resume(self._machine, self.task_id)
            case Flag.CANCEL:
                return await steer.cancel(self._machine, self.task_id)
            case Flag.RETRY:
                return await steer.retry(self._machine, self.task_id)

    async def end(self) -> Task:
        """Help the task to its end: resume it when it is paused, retry it when it has failed."""
        while True:
            task = await self._insist(lambda: self._machine.ledger.task(self.task_id))
            if task.hold is Hold.PAUSED:
                await self._insist(lambda: self._steered(Flag.RESUME))
            elif task.state is TaskState.FAILED:
                self._world.trace.add(f"{self.goods.namespace} failed: {task.error}")
                await self._insist(lambda: self._steered(Flag.RETRY))
            elif task.state.ended:
                return task
            await asyncio.sleep(1.0)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except RetryLater:
                await asyncio.sleep(0.5)
