"""How the index is reached: described once, then spoken to in its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from rowvec.errors import NotConfigured
from rowvec.vectorstores.pinecone import documents, rest
from rowvec.vectorstores.pinecone.documents import DocumentsPlane
from rowvec.vectorstores.pinecone.grpc import GrpcPlane
from rowvec.vectorstores.pinecone.http import Http
from rowvec.vectorstores.pinecone.index import CONTROL_VERSION, CONTROLLER, Index, described
from rowvec.vectorstores.pinecone.plane import DataPlane
from rowvec.vectorstores.pinecone.rest import RestPlane

TRANSPORTS = ("grpc", "rest")


@dataclass(frozen=True, slots=True)
class Access:
    """The settings. No `host`: the one Pinecone gives."""

    name: str
    key: str = field(repr=False)
    host: str
    controller: str
    transport: str

    @classmethod
    def read(cls, url: str, settings: Mapping[str, str]) -> Access:
        """Raises NotConfigured, naming the setting."""
        name = url.removeprefix("pinecone://").strip("/")
        if name == url or not name:
            raise NotConfigured(f"'{url}' names no index. Write pinecone://INDEX.")
        key = settings.get("PINECONE_API_KEY", "").strip()
        if not key.isascii() or not key.isprintable() or not key:
            raise NotConfigured(
                "PINECONE_API_KEY is not set, or holds what no key holds. Set it to the project's key."
            )
        transport = settings.get("PINECONE_TRANSPORT", "").strip().lower() or "grpc"
        if transport not in TRANSPORTS:
            raise NotConfigured(f"PINECONE_TRANSPORT is '{transport}'. It is one of {', '.join(TRANSPORTS)}.")
        host = settings.get("PINECONE_HOST", "").strip().rstrip("/")
        controller = settings.get("PINECONE_CONTROLLER_HOST", "").strip().rstrip("/") or CONTROLLER
        return cls(name, key, host, controller if "://" in controller else f"https://{controller}", transport)


class Connection:
    """One index. For one event loop."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._index: Index | None = None
        self._plane: DataPlane | None = None
        self._opening = asyncio.Lock()

    @property
    def widths(self) -> tuple[int, int]:
        """Those of the data plane; before the index is known, those of JSON."""
        return self._plane.widths if self._plane else RestPlane.widths

    async def open(self) -> tuple[Index, DataPlane]:
        """Asks the control plane at first; a failure is not remembered.

        Raises StoreMismatch, RetryLater or PauseNeeded.
        """
        async with self._opening:
            if self._index is None or self._plane is None:
                self._index = await self._described()
                self._plane = self._spoken_to(self._index)
            return self._index, self._plane

    async def close(self) -> None:
        async with self._opening:
            if self._plane is not None:
                await self._plane.close()
            self._index = self._plane = None

    async def _described(self) -> Index:
        control = Http(self._access.controller, self._access.key, CONTROL_VERSION)
        try:
            return await described(control, self._access.name, self._access.host)
        finally:
            await control.close()

    def _spoken_to(self, index: Index) -> DataPlane:
        key = self._access.key
        if index.field is not None:
            return DocumentsPlane(Http(index.host, key, documents.VERSION), index.field)
        if self._access.transport == "rest":
            return RestPlane(Http(index.host, key, rest.VERSION))
        return GrpcPlane(index.host, key)
