"""Refusals as people read them: a page, or a notice where htmx asked. The words are the API's."""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response

from app.api.errors import Handler
from app.api.service import service
from app.web.render import gone_to, is_htmx, page
from app.web.site import site
from app.web.visitor import SignInNeeded, here, visit
from rowvec.errors import RetryLater

TITLES = {
    401: "You are not signed in",
    403: "Your key does not allow this",
    404: "There is nothing here",
    405: "This page takes no such request",
    429: "Too much at once",
    500: "Something went wrong on our side",
    501: "Not set up on this service",
    503: "A part of the service does not answer",
}
OTHER = "This could not be done"


def for_people(answer: Handler) -> Handler:
    """The same answer, as a page where a browser shows it and as a notice where htmx does."""

    async def shown(request: Request, raised: Exception) -> Response:
        told = await answer(request, raised)
        if request.url.path.startswith("/api/") or not (is_htmx(request) or _wants_page(request)):
            return told
        if isinstance(raised, SignInNeeded):
            return _to_sign_in(request)
        if told.status_code < 500:
            await _meet(request)
        return _page(request, told)

    return shown


async def _meet(request: Request) -> None:
    """Where no route has asked who looks, as for a path that leads nowhere: the page has a menu all the same.
    Not after a fault of the service, which this could run into again."""
    if not hasattr(request.state, "visit"):
        with suppress(RetryLater):
            await visit(request, await service(request), await site(request))


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _to_sign_in(request: Request) -> Response:
    address = f"/sign-in?next={quote(here(request), safe='')}"
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.method == "GET":
        # The cookie is not sent where a link of another site leads here; it is when this page asks again.
        return page(request, "again.html", address=here(request))
    return gone_to(request, address)


def _page(request: Request, told: Response) -> Response:
    problem = json.loads(bytes(told.body))
    kept = {
        name: told.headers[name] for name in ("Retry-After", "Allow", "X-Request-ID") if name in told.headers
    }
    return page(
        request,
        "_notice.html" if is_htmx(request) else "refusal.html",
        status_code=told.status_code,
        headers=kept,
        title=TITLES.get(told.status_code, OTHER),
        problem=problem,
    )
