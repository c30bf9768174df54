"""Tells CloudWatch once a minute. What goes wrong here is logged, and never stops the work."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import structlog

from app.cloudwatch.place import Place, place_of
from app.cloudwatch.point import Point
from app.cloudwatch.record import lines
from app.config import Settings
from rowvec.errors import NotConfigured

log = structlog.get_logger(__name__)

ROUND_SECONDS = 60.0
"""As fine as CloudWatch keeps metrics of the standard resolution."""

PATIENCE_SECONDS = 5.0
"""For one teller, which may have to ask the ledger."""

_NAMESPACE = re.compile(r"[A-Za-z0-9._/#:-]{1,200}")


class Teller(Protocol):
    """Knows some metrics of this process."""

    async def points(self) -> Sequence[Point]:
        """What is so now, and what came to pass since those that were written last."""

    def written(self) -> None:
        """The last points have been."""


class Reporter:
    """Asks its tellers in rounds. Of one that fails the log tells once, until it succeeds again."""

    def __init__(
        self, namespace: str, place: Place, tellers: Sequence[Teller], pause: float = ROUND_SECONDS
    ) -> None:
        self._namespace = namespace
        self._place = place
        self._tellers = tellers
        self._pause = pause
        self._failing: set[Teller] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Round after round until `stop` is set, and a last one. Not to be cancelled: what is being written
        then would be told twice."""
        while not stop.is_set():
            await self.round()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._pause)
        await self.round()

    async def round(self) -> None:
        for teller in self._tellers:
            try:
                await self._tell(teller)
            except Exception as error:  # the work must not end over what only watches it
                if teller not in self._failing:
                    self._failing.add(teller)
                    log.error("cloudwatch_not_told", of=type(teller).__name__, exc_info=error)
            else:
                if teller in self._failing:
                    self._failing.remove(teller)
                    log.info("cloudwatch_told_again", of=type(teller).__name__)

    async def _tell(self, teller: Teller) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            points = await teller.points()
        written = list(lines(self._namespace, points, time.time()))
        if written:
            await asyncio.to_thread(self._place.write, written)
        teller.written()


@asynccontextmanager
async def reporting(config: Settings, *tellers: Teller) -> AsyncIterator[None]:
    """Tell as long as this lasts, and at its end, where CLOUDWATCH_METRICS says where to. Raises
    NotConfigured."""
    if not config.cloudwatch_metrics:
        yield
        return
    reporter = Reporter(namespace_of(config), place_of(config.cloudwatch_metrics), tellers)
    stop = asyncio.Event()
    rounds = asyncio.create_task(reporter.run(stop))
    try:
        yield
    finally:
        stop.set()
        await rounds


def namespace_of(config: Settings) -> str:
    """Raises NotConfigured."""
    name = config.environment.strip().lower()
    if not _NAMESPACE.fullmatch(name):
        raise NotConfigured(
            f"ENVIRONMENT is '{config.environment}', and CloudWatch takes no such name for metrics: "
            "use letters, digits and any of . _ / # : - in it, or leave CLOUDWATCH_METRICS empty."
        )
    return f"vectordb/{name}"
