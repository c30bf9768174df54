"""Pages that stay right by themselves: one stream a page, and one look a second for all who watch the same.

A page marks regions (`data-region`); a look renders them all, from the partial templates of the page. What is
sent is each region that changed, as an event of its name. Whoever comes anew is sent every region.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field

import structlog
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, format_sse_event

from app.api.service import Service
from app.callers import Caller
from rowvec.errors import RetryLater

EVERY_SECONDS = 1.0
KEEP_SECONDS = 10.0
"""So long is a channel kept that nobody asks for."""
KEY_SECONDS = 5.0
"""So long is a key believed to open still."""
ALIVE_SECONDS = 15.0
"""After so long without news a comment tells proxies that the stream lives."""
TROUBLE, WELL, END = "live-trouble", "live-well", "live-end"
log = structlog.get_logger("app.web")


@dataclass(frozen=True, slots=True)
class Picture:
    """HTML by region. After one that `is_final` nothing changes; `trouble` says why this is an old one."""

    regions: Mapping[str, str] = field(default_factory=dict)
    is_final: bool = False
    trouble: str = ""


Look = Callable[[], Awaitable[Picture]]


class Channel:
    """What viewers of the same page see. Whoever asks first after a second looks, for all."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._lock = asyncio.Lock()
        self._picture = Picture()
        self._looked_at = float("-inf")
        self._asked_at = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Since somebody asked."""
        return time.monotonic() - self._asked_at

    @property
    def seconds_to_next(self) -> float:
        return max(0.0, self._looked_at + EVERY_SECONDS - time.monotonic())

    async def picture(self) -> Picture:
        """At most a second old. A ledger that is away leaves the last one, with the trouble told."""
        self._asked_at = time.monotonic()
        async with self._lock:
            if not self.seconds_to_next:
                self._picture = await self._seen()
                self._looked_at = time.monotonic()
            return self._picture

    async def _seen(self) -> Picture:
        try:
            return await self._look()
        except RetryLater as error:
            log.warning("page_not_renewed", error=error.message)
            return Picture(self._picture.regions, trouble=error.message)


class Live:
    """The channels of this process."""

    def __init__(self) -> None:
        self._channels: dict[Hashable, Channel] = {}
        self._keys: dict[str, tuple[float, bool]] = {}

    def channel(self, key: Hashable, look: Look) -> Channel:
        """The one of this key; `look` is taken where there is none yet."""
        idle = [name for name, old in self._channels.items() if old.idle_seconds > KEEP_SECONDS]
        for name in idle:
            del self._channels[name]
        return self._channels.setdefault(key, Channel(look))

    async def still_opens(self, the: Service, caller: Caller) -> bool:
        """Asked of the ledger every KEY_SECONDS for a key, however many pages it has open."""
        asked_at, opens = self._keys.get(caller.id, (float("-inf"), False))
        if time.monotonic() - asked_at > KEY_SECONDS:
            opens = await the.keyring.still_opens(caller)
            self._keys[caller.id] = time.monotonic(), opens
        return opens

    async def answer(
        self, request: Request, the: Service, caller: Caller, key: tuple[Hashable, ...], look: Look
    ) -> Response:
        """The stream of a page, or, to who asks for JSON, what it would begin with.

        `key` names the page and what it is about; what else decides what is seen is added here.
        """
        grants = caller.grants
        sight = (grants.scope, grants.tenant, grants.namespaces, grants.sources)
        channel = self.channel((*key, *sight), look)
        if "application/json" in request.headers.get("Accept", ""):
            return JSONResponse(_as_json(await channel.picture()))
        return EventSourceResponse(
            self._events(channel, the, caller),
            headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
        )

    async def _events(self, channel: Channel, the: Service, caller: Caller) -> AsyncIterator[bytes]:
        seen = Picture()
        told_at = time.monotonic()
        while True:
            picture = await channel.picture()
            news = _news(seen, picture)
            if not news and time.monotonic() - told_at > ALIVE_SECONDS:
                news = [format_sse_event(comment="still here")]
            for event in news:
                yield event
                told_at = time.monotonic()
            seen = picture
            if picture.is_final or await the.stops_within(channel.seconds_to_next):
                return
            if not await self._may_go_on(the, caller):
                return

    async def _may_go_on(self, the: Service, caller: Caller) -> bool:
        """A ledger that is away does not end a stream: the trouble is told in it."""
        try:
            return await self.still_opens(the, caller)
        except RetryLater:
            return True


def _news(seen: Picture, picture: Picture) -> list[bytes]:
    events = [
        format_sse_event(event=name, data_str=html)
        for name, html in picture.regions.items()
        if seen.regions.get(name) != html
    ]
    if picture.trouble != seen.trouble:
        events.append(format_sse_event(event=TROUBLE if picture.trouble else WELL, data_str=picture.trouble))
    if picture.is_final:
        events.append(format_sse_event(event=END, data_str=""))
    return events


def _as_json(picture: Picture) -> dict[str, object]:
    return {"regions": dict(picture.regions), "trouble": picture.trouble, "end": picture.is_final}
