"""How many tasks there are in each state, as far as a page tells it."""

from __future__ import annotations

import time
from collections.abc import Hashable
from typing import get_args

from app.api.routes.tasks import Seen
from app.api.service import Service
from app.api.sight import seen_tasks
from app.callers import Caller

MOST = 99
"""Counted so far and no further: a ledger is never made to look at all that is done."""
FRESH_SECONDS = 5.0


class Census:
    """Counts of this process, each shared by all who see the same tasks for a few seconds."""

    def __init__(self) -> None:
        self._counted: dict[Hashable, tuple[float, dict[str, int]]] = {}

    async def of(self, the: Service, caller: Caller) -> dict[str, int]:
        """By state; MOST + 1 stands for more than MOST."""
        key = (caller.grants.tenant, caller.grants.namespaces)
        counted_at, counts = self._counted.get(key, (float("-inf"), {}))
        if time.monotonic() - counted_at > FRESH_SECONDS:
            counts = {state: await _count(the, caller, state) for state in get_args(Seen)}
            self._counted[key] = time.monotonic(), counts
        return counts


async def _count(the: Service, caller: Caller, state: str) -> int:
    page = await seen_tasks(the, caller, MOST + 1, None, state)
    return len(page.tasks)
