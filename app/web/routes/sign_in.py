"""Signing in with an API key, once, or with the link that the service printed; signing out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.api.service import Service, TheService
from app.keys import mistyped
from app.web.attempts import count_attempt, forget_attempt
from app.web.csrf import CsrfChecked, OwnOrigin
from app.web.render import page
from app.web.site import Site, TheSite
from app.web.visitor import safe_next, visit

router = APIRouter()

Address = Annotated[str, Query(max_length=2000)]
UNKNOWN = "This key opens nothing: it is not one of this service's, has expired, or was revoked."
MISTYPED = "This key was mistyped or cut: its checksum does not match."
USED = "This link was used already, or is older than ten minutes. Sign in with a key, or restart the service."


@router.get("/sign-in")
async def ask(
    request: Request,
    the: TheService,
    site: TheSite,
    next: Address = "/",
    token: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    if token:
        await count_attempt(the, request)
        key_id = await site.sessions.redeem(token, the.machine.ledger)
        return await _enter(request, the, site, key_id, "/") if key_id else _asked(request, "/", USED)
    if await visit(request, the, site):
        return RedirectResponse(safe_next(next), 303)
    return _asked(request, safe_next(next))


@router.post("/sign-in", dependencies=[OwnOrigin])
async def sign_in(
    request: Request,
    the: TheService,
    site: TheSite,
    key: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    await count_attempt(the, request)
    key = key.strip()
    caller = await the.keyring.caller(key)
    if caller is None:
        return _asked(request, safe_next(next), MISTYPED if mistyped(key) else UNKNOWN)
    return await _enter(request, the, site, caller.id, safe_next(next))


@router.post("/sign-out", dependencies=[CsrfChecked])
async def sign_out(request: Request, the: TheService, site: TheSite) -> Response:
    response = RedirectResponse("/sign-in", 303)
    await site.sessions.end(request, response, the.machine.ledger)
    return response


def _asked(request: Request, to: str, refused: str = "") -> Response:
    return page(request, "sign_in.html", status_code=401 if refused else 200, next=to, refused=refused)


async def _enter(request: Request, the: Service, site: Site, key_id: str, to: str) -> Response:
    await forget_attempt(the, request)
    response = RedirectResponse(to, 303)
    site.sessions.begin(request, response, key_id)
    return response
