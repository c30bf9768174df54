"""A visitor without a browser: signs in, reads pages, and sends forms as they stand on them."""

from __future__ import annotations

import html
import re
from types import TracebackType
from typing import Any, Self

import httpx2


class Visitor:
    """A session of one key. Redirects are not followed, so that a test sees them."""

    def __init__(self, url: str, key: str) -> None:
        self.origin = url
        self._http = httpx2.Client(base_url=url, headers={"Accept": "text/html"}, timeout=60)
        answer = self._http.post("/sign-in", data={"key": key}, headers={"Origin": url})
        assert answer.status_code == 303, answer.text
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get("/search").text)
        assert found
        self.csrf = found[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self._http.get(path, **options)

    def post(self, path: str, fields: dict[str, Any] | None = None, htmx: bool = False) -> httpx2.Response:
        """A form of ours, sent by the browser or by htmx."""
        headers = {"Origin": self.origin} | ({"HX-Request": "true"} if htmx else {})
        return self._http.post(path, data={"csrf": self.csrf, **(fields or {})}, headers=headers)

    def post_file(self, parts: list[tuple[str, Any]], **headers: str) -> httpx2.Response:
        """A multipart form with these parts in this order; (None, TEXT) is a field."""
        return self._http.post("/new/upload", files=parts, headers={"Origin": self.origin} | headers)

    def upload(self, content: bytes, name: str = "rows.csv") -> str:
        """Send a file in as the form does; returns the address of the page about it."""
        answer = self.post_file([("csrf", (None, self.csrf)), ("file", (name, content, "text/csv"))])
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


def hidden_fields(page: str) -> dict[str, str]:
    """What the page's forms bring along unseen."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def told_beside(page: str, field: str) -> str:
    """What is told to be wrong with a field."""
    found = re.search(rf'id="error-{field}"[^>]*>([^<]*)<', page)
    return html.unescape(found[1]) if found else ""
