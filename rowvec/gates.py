"""Has a person paused a provider? Asked before each call to one, by every process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from rowvec.errors import InvalidRequest, ProviderPaused, RetryLater
from rowvec.ledgers.base import Ledger
from rowvec.model import ProviderPause, utc

EMBEDDER, VECTOR_STORE = "embedder", "vector_store"
NAMES = {EMBEDDER: "the embedder", VECTOR_STORE: "the vector store"}
UNTIL = "until somebody resumes it."
"""How the words of a pause by hand end, and of nothing else that is waited for."""

ASK_SECONDS = 1.0
"""For so long, at most, a process believes what the ledger told."""


class Gates:
    """What this process knows of it. While the ledger is away, what it told last goes on holding."""

    def __init__(self) -> None:
        self._pauses: Sequence[ProviderPause] = ()
        self._asked_at = -math.inf
        self._asking = asyncio.Lock()

    async def check(self, ledger: Ledger, *providers: str) -> None:
        """Raises ProviderPaused where one of these is paused."""
        for pause in await self.closed(ledger):
            if pause.provider in providers:
                raise ProviderPaused(in_words(pause))

    async def closed(self, ledger: Ledger) -> Sequence[ProviderPause]:
        """All pauses."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if not 0 <= now - self._asked_at < ASK_SECONDS:
                try:
                    self._pauses = await ledger.provider_pauses()
                except RetryLater:
                    return self._pauses
                self._asked_at = now
            return self._pauses


def in_words(pause: ProviderPause) -> str:
    """What is paused, since when, why, and how it goes on."""
    since = utc(pause.since)
    return (
        f"Calls to {NAMES.get(pause.provider, pause.provider)} were paused by hand at "
        f"{since:%Y-%m-%d %H:%M} UTC ({pause.reason}), {UNTIL}"
    )


async def pause(ledger: Ledger, provider: str, reason: str) -> ProviderPause:
    """Hold all calls to that provider until it is resumed. Raises InvalidRequest for one that is none."""
    return await ledger.pause_provider(_known(provider), reason)


async def resume(ledger: Ledger, provider: str) -> None:
    """Let calls go on. Raises InvalidRequest as `pause` does."""
    await ledger.resume_provider(_known(provider))


def _known(provider: str) -> str:
    if provider not in NAMES:
        raise InvalidRequest(
            f"There is no provider '{provider[:80]}'. There are {' and '.join(NAMES)}.", "provider"
        )
    return provider
