"""How many tasks there are in each state, as far as a page tells it."""

from __future__ import annotations

from typing import get_args

from app.api.routes.tasks import Seen
from app.api.service import Service
from app.api.shared import Shared
from app.api.sight import seen_tasks
from app.callers import Caller

MOST = 99
"""Counted so far and no further: a ledger is never made to look at all that is done."""
FRESH_SECONDS = 5.0
MOST_SIGHTS = 256


class Census:
    """Counts of this process, each shared by all who see the same tasks for a few seconds."""

    def __init__(self) -> None:
        self._counted = Shared[dict[str, int]](FRESH_SECONDS, MOST_SIGHTS)

    async def of(self, the: Service, caller: Caller) -> dict[str, int]:
        """By state; MOST + 1 stands for more than MOST."""
        sight = (caller.grants.tenant, caller.grants.namespaces)
        return await self._counted.of(sight, lambda: _count_all(the, caller))


async def _count_all(the: Service, caller: Caller) -> dict[str, int]:
    return {state: await _count(the, caller, state) for state in get_args(Seen)}


async def _count(the: Service, caller: Caller, state: str) -> int:
    page = await seen_tasks(the, caller, MOST + 1, None, state)
    return len(page.tasks)
