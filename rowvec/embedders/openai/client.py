"""The connection: pooled, uncompressed, with time-outs; what goes wrong on it is weather."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from rowvec import __version__
from rowvec.errors import Unavailable

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
"""Of silence. An answer takes a second or two; a lease is as long, and ends a call on its own."""

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
        self._http: aiohttp.ClientSession | None = None
        self.who = urlsplit(url).netloc

    async def post(self, body: bytes) -> Answer:
        """Raises Unavailable when there is no whole answer."""
        try:
            async with self._client().post(self._url, data=body, allow_redirects=False) as response:
                return Answer(response.status, response.headers, await response.read())
        except TimeoutError as error:
            raise Unavailable(
                f"{self.who} does not answer in time ({type(error).__name__}). "
                "Where it is slow it needs smaller requests: set OPENAI_REQUEST_TOKENS."
            ) from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"{self.who} cannot be reached, or cuts its answer short: {error}.") from error

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            headers = {
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",  # unpacking gzip costs more than the whole rest of an answer
                "User-Agent": f"rowvec/{__version__}",
            }
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
                headers=headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
                ),
                proxy=_proxy(self._url),
            )
        return self._http

    async def close(self) -> None:
        if self._http:
            await self._http.close()
            self._http = None


def _proxy(url: str) -> str | None:
    """What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say of the address.

    aiohttp reads them by itself only together with `~/.netrc`, and refuses to send its password beside a key.
    """
    address = urlsplit(url)
    proxies = getproxies()
    if proxy_bypass(address.netloc):
        return None
    return proxies.get(address.scheme) or proxies.get("all")
