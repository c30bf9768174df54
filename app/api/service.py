"""What a route can reach, made once when the service starts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from app.api.grids import Grids
from app.api.metrics import Answers
from app.api.turns import Turns
from app.callers import Keyring
from app.config import Settings
from app.workers.doorbell import Doorbell
from rowvec.machine import Machine


@dataclass(frozen=True, slots=True)
class Service:
    """`stopping` is set when the process has been told to end: streams end themselves then.

    `scans` are looks at whole tables, each of which slows other answers of its process; `exports` are those
    for which a table must be exported first, which may take minutes and then is not waited for by the others.
    """

    settings: Settings
    machine: Machine
    keyring: Keyring
    answers: Answers
    doorbell: Doorbell
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    scans: Turns = field(default_factory=lambda: Turns("the scan of another table"))
    exports: Turns = field(default_factory=lambda: Turns("the export of another question"))
    grids: Grids = field(default_factory=Grids)

    @property
    def is_production(self) -> bool:
        return self.settings.is_production

    async def stops_within(self, seconds: float) -> bool:
        """Wait so long, or until the process is told to end; says whether it is."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True


async def service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


TheService = Annotated[Service, Depends(service)]
