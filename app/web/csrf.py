"""Was this sent from one of our pages? Asked of every POST."""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.api.errors import DoorRefusal
from app.web.visitor import TheVisitor, Visit

FIELD = "csrf"
HEADER = "X-CSRF-Token"


async def own_origin(request: Request) -> None:
    """Browsers name the origin of every POST; it must be this host. Raises DoorRefusal (403)."""
    origin = request.headers.get("Origin")
    if origin is None or urlsplit(origin).netloc != request.headers.get("Host"):
        raise DoorRefusal(
            "foreign-form", "This was not sent from a page of this service. Load the page anew."
        )


OwnOrigin = Depends(own_origin)


async def _checked(request: Request, _caller: TheVisitor, _origin: Annotated[None, OwnOrigin]) -> None:
    check_token(request, await _brought(request))


def check_token(request: Request, brought: str) -> None:
    """For routes that find the token where nobody else looks. Raises DoorRefusal (403)."""
    visit: Visit = request.state.visit
    if not hmac.compare_digest(brought.encode(), visit.csrf.encode()):
        raise DoorRefusal("foreign-form", "This form belongs to another session. Load the page anew.")


async def _brought(request: Request) -> str:
    header = request.headers.get(HEADER)
    if header is not None:
        return header
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    return str((await request.form()).get(FIELD, ""))


CsrfChecked = Depends(_checked)
"""For the `dependencies` of every POST of a visitor: the session's token, in the form or the header."""
