"""JSON over HTTP as Pinecone speaks it: one pool of connections to one host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import httpx2
import msgspec

from rowvec.errors import Unavailable
from rowvec.vectorstores.pinecone import errors
from rowvec.vectorstores.pinecone.plane import DEADLINE

T = TypeVar("T")
CONNECTIONS = 16
_COMMITTED = ("x-pinecone-request-lsn", "x-pinecone-lsn-committed")
_INDEXED = ("x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled")
_LIMITS = httpx2.Limits(
    max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=30
)


@dataclass(frozen=True, slots=True)
class Reply:
    headers: Mapping[str, str]
    body: bytes

    def read(self, kind: type[T]) -> T:
        """Raises Unavailable for a body that is not what it should be."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as error:
            raise Unavailable(f"Pinecone's reply could not be read: {error}.") from error

    @property
    def committed(self) -> int | None:
        return committed(self.headers)

    @property
    def indexed(self) -> int | None:
        return indexed(self.headers)


class Http:
    """`host` with its scheme. Use it on one event loop."""

    def __init__(self, host: str, key: str, version: str) -> None:
        headers = {
            "Api-Key": key,
            "X-Pinecone-Api-Version": version,
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        self._client = httpx2.AsyncClient(
            base_url=host, headers=headers, timeout=DEADLINE, limits=_LIMITS, trust_env=True
        )

    async def get(
        self, doing: str, path: str, query: Mapping[str, str | Sequence[str]] | None = None
    ) -> Reply:
        return await self._send(doing, self._client.build_request("GET", path, params=query))

    async def post(self, doing: str, path: str, body: bytes) -> Reply:
        return await self._send(doing, self._client.build_request("POST", path, content=body))

    async def _send(self, doing: str, request: httpx2.Request) -> Reply:
        """Raises what `errors` makes of anything but a success."""
        try:
            async with asyncio.timeout(DEADLINE):
                response = await self._client.send(request)
        except TimeoutError as error:
            raise errors.no_answer(doing, f"no reply within {DEADLINE:.0f} s") from error
        except httpx2.HTTPError as error:
            raise errors.no_answer(doing, str(error) or type(error).__name__) from error
        if not response.is_success:
            raise errors.of_http(doing, response.status_code, response.headers, response.content)
        return Reply(response.headers, response.content)

    async def close(self) -> None:
        await self._client.aclose()


def committed(headers: Mapping[str, str]) -> int | None:
    """The log sequence number of a write."""
    return _first(headers, _COMMITTED)


def indexed(headers: Mapping[str, str]) -> int | None:
    """The log sequence number up to which a read has seen the namespace."""
    return _first(headers, _INDEXED)


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    return next((int(headers[name]) for name in names if headers.get(name, "").isdigit()), None)
