"""Metabase's HTTP interface: who we are to it, and what its refusals mean."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from httpx2 import Response

from rowvec.errors import (
    CredentialsRefused,
    NotConfigured,
    PauseNeeded,
    RateLimited,
    SourceNotFound,
    TaskFailed,
    Unavailable,
)
from rowvec.sources.base import BrokeOff

ANSWER_SECONDS = 10.0
"""How long Metabase may take to say whether a question is there: somebody waits at the door."""
SILENCE_SECONDS = 3600.0
"""How long an export may be silent. Its query runs before the first row comes, for 20 minutes by default."""
_SAID = 500
_LOGIN = "METABASE_USERNAME and METABASE_PASSWORD"


class Denied(CredentialsRefused):
    """Metabase knows us and does not let us see this question."""


class Client:
    """Requests to the Metabase at `METABASE_URL`, with `METABASE_API_KEY`, or with a session made for
    `METABASE_USERNAME` and `METABASE_PASSWORD` and made anew, once, when it has ended.

    Every call raises NotConfigured, CredentialsRefused, Denied, SourceNotFound, RateLimited, Unavailable,
    or TaskFailed for what it says no to for another reason; each in words, none with a secret.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._url = settings.get("METABASE_URL", "").rstrip("/")
        self._api_key = settings.get("METABASE_API_KEY", "")
        self._username = settings.get("METABASE_USERNAME", "")
        self._password = settings.get("METABASE_PASSWORD", "")
        self._tls: ssl.SSLContext | None = None
        self._session: str | None = None
        self._logging_in = asyncio.Lock()

    def __str__(self) -> str:
        return re.sub(r"//[^/@]*@", "//", self._url)

    async def greet(self) -> None:
        """Returns where it is a Metabase that knows us."""
        async with self._asked("GET", "api/user/current", "", ANSWER_SECONDS) as answer:
            found = _object(await answer.aread())
        if "id" not in found:
            raise self._no_metabase()

    async def look(self, question: str) -> None:
        """Returns where the question is there, to us."""
        async with self._asked("GET", f"api/card/{question}", question, ANSWER_SECONDS) as answer:
            found = _object(await answer.aread())
        if "id" not in found:
            raise self._no_metabase()

    @asynccontextmanager
    async def export(self, question: str) -> AsyncGenerator[Response]:
        """The reply to an export, whose body has not been read yet.

        `format_rows` went from the query to the body as Metabase grew; it is told in both.
        """
        path = f"api/card/{question}/query/csv?format_rows=false"
        plain = {"format_rows": False, "pivot_results": False}
        async with self._asked("POST", path, question, SILENCE_SECONDS, plain) as answer:
            yield answer

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, question: str, seconds: float, body: Any = None
    ) -> AsyncGenerator[Response]:
        self._check_settings()
        async with self._http(seconds) as http:
            try:
                answer = await self._answer(http, method, path, body)
                if not answer.is_success:
                    await answer.aread()
            except httpx2.TransportError as error:
                raise Unavailable(f"{self} does not answer: {_why(error)}.") from error
            if not answer.is_success:
                raise self._refusal(answer, question)
            try:
                yield answer
            except httpx2.TransportError as error:
                raise BrokeOff(f"The answer of {self} broke off: {_why(error)}.") from error

    async def _answer(self, http: httpx2.AsyncClient, method: str, path: str, body: Any) -> Response:
        answer = await self._sent(http, method, path, body)
        if answer.status_code == 401 and not self._api_key:
            await answer.aclose()
            self._session = None
            answer = await self._sent(http, method, path, body)
        return answer

    async def _sent(self, http: httpx2.AsyncClient, method: str, path: str, body: Any) -> Response:
        headers = {"Accept-Encoding": "gzip", **await self._who(http)}
        request = http.build_request(method, f"{self._url}/{path}", headers=headers, json=body)
        return await http.send(request, stream=True)

    async def _who(self, http: httpx2.AsyncClient) -> dict[str, str]:
        if self._api_key:
            return {"x-api-key": self._api_key}
        async with self._logging_in:
            if self._session is None:
                self._session = await self._log_in(http)
            return {"X-Metabase-Session": self._session}

    async def _log_in(self, http: httpx2.AsyncClient) -> str:
        who = {"username": self._username, "password": self._password}
        answer = await http.post(f"{self._url}/api/session", json=who, timeout=ANSWER_SECONDS)
        session = _object(answer.content).get("id")
        if answer.is_success and isinstance(session, str):
            return session
        wait = re.search(r"You must wait (\d+) seconds", answer.text)
        if wait:
            raise RateLimited(f"{self} has seen too many wrong passwords and lets nobody in.", float(wait[1]))
        if answer.status_code in (400, 401):
            raise CredentialsRefused(f"{self} refuses {_LOGIN}. Set them right, or METABASE_API_KEY.")
        if answer.status_code == 429 or answer.status_code >= 500:
            raise self._refusal(answer, "")
        raise self._no_metabase()

    def _http(self, seconds: float) -> httpx2.AsyncClient:
        if self._tls is None and self._url.startswith("https://"):
            self._tls = ssl.create_default_context()
        timeout = httpx2.Timeout(seconds, connect=ANSWER_SECONDS)
        return httpx2.AsyncClient(verify=self._tls or False, timeout=timeout)

    def _check_settings(self) -> None:
        if not self._url:
            raise NotConfigured("No Metabase is configured. Set METABASE_URL and METABASE_API_KEY.")
        if not self._url.startswith(("http://", "https://")):
            raise NotConfigured(f"METABASE_URL is '{self}'. Write http://… or https://….")
        if not self._api_key and not (self._username and self._password):
            raise NotConfigured(f"There is no key for {self}. Set METABASE_API_KEY, or {_LOGIN}.")

    def _no_metabase(self) -> NotConfigured:
        return NotConfigured(f"{self} does not answer as a Metabase does. Set METABASE_URL to one.")

    def _refusal(self, answer: Response, question: str) -> Exception:
        """The one place where Metabase's statuses become the machine's errors."""
        status, said = answer.status_code, answer.text.strip()[:_SAID]
        match status:
            case 401:
                key = "METABASE_API_KEY" if self._api_key else "the session it has just given us"
                return CredentialsRefused(f"{self} refuses {key} ({said}). Set a key that is valid there.")
            case 403:
                return Denied(
                    f"{self} does not let this service see question {question} ({said}). Give the group of "
                    "its key or user access to the question's collection and data."
                )
            case 404 | 410 if not question:
                return self._no_metabase()
            case 404 | 410:
                return SourceNotFound(
                    f"There is no question {question} in {self} ({said}). Its number is in its address there."
                )
            case 429:
                return RateLimited(f"{self} asks for fewer requests.", _seconds(answer))
            case _ if status >= 500 or status == 408:
                return Unavailable(f"{self} answers with {status}: {said}", _seconds(answer))
            case _ if 300 <= status < 400:
                return PauseNeeded(
                    f"{self} is elsewhere: it sends us to {answer.headers.get('location', 'nowhere')[:200]}. "
                    "Set METABASE_URL to the address itself."
                )
        return TaskFailed(f"{self} refuses question {question} with {status}: {said}")


def _why(error: httpx2.TransportError) -> str:
    return str(error) or type(error).__name__


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; empty where there is none."""
    with suppress(ValueError):
        found = json.loads(body)
        if isinstance(found, dict):
            return found
    return {}


def _seconds(answer: Response) -> float | None:
    """What Retry-After asks for, in seconds or as a date."""
    given = answer.headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(given))
    with suppress(ValueError):
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    return None
