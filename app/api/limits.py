"""How much body a request may bring: little, unless its route asks for more."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import DoorRefusal

MAX_JSON_BYTES = 64 * 1024


class Allowance:
    """Bytes of body that one request may bring. `declared` is its Content-Length, if it has one."""

    def __init__(self, most: int, declared: int | None) -> None:
        self._most = most
        self.declared = declared or 0
        self._taken = 0

    def lift(self, most: int) -> None:
        """Allow more, before the body is read."""
        self._most = most

    def check(self) -> None:
        """Raises DoorRefusal (413) once more was declared or taken than is allowed."""
        if max(self.declared, self._taken) > self._most:
            raise DoorRefusal("body-too-large", f"The body may have at most {self._most} bytes here.")

    def take(self, size: int) -> None:
        self._taken += size
        self.check()


class BodyLimit:
    """Counts bodies as they arrive, with or without a Content-Length, and stops those too large."""

    def __init__(self, app: ASGIApp, most: int = MAX_JSON_BYTES) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        allowance = Allowance(self._most, int(length) if length.isdecimal() else None)
        scope.setdefault("state", {})["allowance"] = allowance

        async def counting() -> Message:
            allowance.check()
            message = await receive()
            if message["type"] == "http.request":
                allowance.take(len(message.get("body", b"")))
            return message

        await self._app(scope, counting, send)


def lift_limit(request: Request, most: int) -> None:
    """Let this request bring up to `most` bytes; called by routes that stream what they take."""
    request.state.allowance.lift(most)
