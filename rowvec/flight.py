"""Requests side by side. Those that have been sent are paid: whatever happens, their answers are taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rowvec.errors import LeaseLost

Task = asyncio.Task[Any]


class Flight:
    """The requests of one job, over as many attempts as it takes."""

    def __init__(self) -> None:
        self._sent: set[Task | None] = set()
        self._under_way: set[Task] = set()
        self._grounded = False

    async def answers(self) -> None:
        """Wait for all that is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def all(self, requests: Iterable[Coroutine[Any, Any, Any]]) -> None:
        """Make them all. Raises the first error; then, or cancelled, what was sent is left under way,
        and nothing more is sent."""
        self._grounded = False
        tasks = {asyncio.create_task(request) for request in requests}
        if not tasks:
            return
        try:
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        except asyncio.CancelledError:
            await self._leave(tasks)
            raise
        errors = [error for task in done if (error := task.exception())]
        if errors:
            await self._leave(pending)
            raise errors[0]

    async def _leave(self, tasks: set[Task]) -> None:
        self._grounded = True
        self._under_way = {task for task in tasks if task in self._sent}
        for task in tasks:
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        waiting = tasks - self._under_way
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    @contextmanager
    def request(self) -> Iterator[Callable[[], None]]:
        """One request of the task that runs; what is given is called when it is sent.

        Raises LeaseLost where nothing more is to be sent.
        """
        if self._grounded:
            raise LeaseLost("this work is put off")
        task = asyncio.current_task()
        try:
            yield lambda: self._sent.add(task)
        finally:
            self._sent.discard(task)
