"""A saved question as a source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from rowvec.errors import (
    CredentialsRefused,
    NotConfigured,
    PauseNeeded,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
)
from rowvec.filestores.base import FileStore
from rowvec.sources.base import ExportedSource
from rowvec.sources.metabase.client import Client, Denied
from rowvec.sources.metabase.guard import Guard
from rowvec.sources.metabase.transfer import received
from rowvec.spec import SourcePin


class MetabaseSource(ExportedSource):
    """Questions by their number."""

    def __init__(self, client: Client, files: FileStore) -> None:
        super().__init__(files)
        self._client = client

    @classmethod
    def open(cls, settings: Mapping[str, str], files: FileStore) -> MetabaseSource:
        return cls(Client(settings), files)

    async def pin(self, ref: str) -> SourcePin:
        if not (ref.isascii() and ref.isdigit() and len(ref) < 20):
            raise SourceNotFound(f"{ref[:80]!r} is no question: name one by its number.")
        try:
            await self._client.look(ref)
        except Denied as error:
            raise SourceForbidden(error.message) from error
        return SourcePin("metabase", ref, "", 0)

    async def ping(self) -> None:
        await self._client.greet()

    async def export(self, pin: SourcePin, allow_row_cap: bool) -> AsyncGenerator[bytes]:
        guard = Guard(pin.ref, allow_row_cap)
        try:
            async with self._client.export(pin.ref) as answer, aclosing(received(answer)) as blocks:
                async for block in blocks:
                    await asyncio.to_thread(guard.see, block)
                    yield block
        except SourceNotFound as error:
            raise SourceChanged(f"{error.message} It was there when it was submitted.") from error
        except CredentialsRefused as error:
            raise CredentialsRefused(f"{error.message} Then resume.") from error
        except NotConfigured as error:
            raise PauseNeeded(f"{error.message} Then resume.") from error
        await asyncio.to_thread(guard.end)
