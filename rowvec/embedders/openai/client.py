"""The connection: pooled, uncompressed, with time-outs; what goes wrong on it is weather."""

from __future__ import annotations

from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from collections.abc import Mapping
from dataclasses import dataclass

import httpcore2
import httpx2

from rowvec import __version__
from rowvec.errors import Unavailable

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
"""Of silence. An answer takes a second or two; a lease is as long, and ends a call on its own."""

PORTION_BYTES = 1 << 20
"""Of an answer, at most, at once. By 64 KiB, as comes with the library, 8 MB cost a third more, and by the
256 KiB of asyncio's own a fifth: each piece makes the whole way up."""

_SelectorSocketTransport.max_size = PORTION_BYTES
httpcore2.AsyncHTTP11Connection.READ_NUM_BYTES = PORTION_BYTES

KEPT_OPEN = 64
KEPT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Posts to one address. Connects at first use."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key
        self._http: httpx2.AsyncClient | None = None
        self.who = httpx2.URL(url).netloc.decode("ascii")

    async def post(self, body: bytes) -> Answer:
        """Raises Unavailable when there is no whole answer."""
        try:
            response = await self._client().post(self._url, content=body)
        except httpx2.TimeoutException as error:
            raise Unavailable(
                f"{self.who} does not answer in time ({type(error).__name__}). "
                "Where it is slow it needs smaller requests: set OPENAI_REQUEST_TOKENS."
            ) from error
        except httpx2.RequestError as error:
            raise Unavailable(f"{self.who} cannot be reached, or cuts its answer short: {error}.") from error
        return Answer(response.status_code, response.headers, response.content)

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            headers = {
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # unpacking gzip costs more than the whole rest of an answer
                "User-Agent": f"rowvec/{__version__}",
            }
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._http = httpx2.AsyncClient(
                headers=headers,
                timeout=httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
                limits=httpx2.Limits(
                    max_connections=None, max_keepalive_connections=KEPT_OPEN, keepalive_expiry=KEPT_SECONDS
                ),
            )
        return self._http

    async def close(self) -> None:
        if self._http:
            await self._http.aclose()
            self._http = None
