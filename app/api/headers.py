"""What every answer tells browsers and proxies to refrain from."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
STAY_ENCRYPTED = ("Strict-Transport-Security", "max-age=31536000")
"""Only behind TLS: over plain HTTP it means nothing, and a proxy tells of TLS in X-Forwarded-Proto."""


class SecurityHeaders:
    """Adds the headers above where the answer does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault(*STAY_ENCRYPTED)
            await send(message)

        await self._app(scope, receive, adding if scope["type"] == "http" else send)
