"""Keys: who may call the API, and what for. For the operator alone, as on the command line."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from app.api.service import Service, TheService
from app.keys import for_tenant, make_key, successor
from app.web.csrf import CsrfChecked
from app.web.render import page
from app.web.visitor import AdminVisitor
from rowvec.api_key import ApiKey, Grants, Scope
from rowvec.errors import InvalidRequest, UnknownKey
from rowvec.model import DAY

router = APIRouter()

HOUR = 3_600.0
MOST_DAYS, MOST_HOURS = 3650.0, 24.0 * 90


@router.get("/keys")
async def show(request: Request, the: TheService, caller: AdminVisitor) -> Response:
    caller.require_unbounded()
    return await _page(request, the)


@router.post("/keys", dependencies=[CsrfChecked])
async def create(request: Request, the: TheService, caller: AdminVisitor) -> Response:
    """The page with the key on it, which is shown this once."""
    caller.require_unbounded()
    form = await request.form()
    try:
        now = await the.machine.ledger.now()
        days = _number(form, "days", MOST_DAYS)
        name = _text(form, "name") or "made in the dashboard"
        stored, key = make_key(name, now, _grants(form), None if days is None else now + days * DAY)
    except InvalidRequest as error:
        return await _page(request, the, form=form, errors={error.field or "": error.message})
    await the.machine.ledger.add_key(stored)
    return await _page(request, the, made=stored, key=key)


@router.post("/keys/{key_id}/rotate", dependencies=[CsrfChecked])
async def rotate(
    request: Request,
    the: TheService,
    caller: AdminVisitor,
    key_id: str,
    hours: Annotated[float, Form(ge=0, le=MOST_HOURS)] = 24,
) -> Response:
    """A successor that allows the same; the old one goes on opening for so many hours."""
    caller.require_unbounded()
    old = await the.machine.ledger.key(key_id)
    if old is None:
        raise UnknownKey(f"There is no API key '{key_id[:80]}'.")
    now = await the.machine.ledger.now()
    stored, key = successor(old, now)
    await the.machine.ledger.rotate_key(key_id, stored, now + hours * HOUR)
    return await _page(request, the, made=stored, key=key, replaced=old, hours=hours)


@router.post("/keys/{key_id}/revoke", dependencies=[CsrfChecked])
async def revoke(request: Request, the: TheService, caller: AdminVisitor, key_id: str) -> Response:
    caller.require_unbounded()
    await the.machine.ledger.revoke_key(key_id)
    if request.headers.get("HX-Request") == "true":
        return Response(headers={"HX-Redirect": "/keys"})
    return RedirectResponse("/keys", 303)


async def _page(
    request: Request,
    the: Service,
    *,
    form: FormData | None = None,
    errors: dict[str, str] | None = None,
    **told: Any,
) -> Response:
    now = await the.machine.ledger.now()
    keys = sorted(await the.machine.ledger.keys(), key=lambda key: (not key.is_open(now), -key.created_at))
    return page(
        request,
        "keys.html",
        status_code=422 if errors else 200,
        keys=[(key, _state(key, now)) for key in keys],
        scopes=list(Scope),
        form=form or FormData(),
        errors=errors or {},
        **{"made": None, "key": "", "replaced": None, "hours": 0} | told,
    )


def _state(key: ApiKey, now: float) -> tuple[str, str]:
    """In a word, and the tone it is told in."""
    if key.revoked_at is not None:
        return "Revoked", "calm"
    if not key.is_open(now):
        return "Expired", "calm"
    return ("Open", "good") if key.expires_at is None else ("Expires", "warn")


def _grants(form: FormData) -> Grants:
    """Raises InvalidRequest."""
    grants = Grants(
        scope=_scope(form),
        namespaces=_list(form, "namespaces"),
        sources=_list(form, "sources"),
        requests_per_second=_whole(form, "requests_per_second"),
        queued_rows=_whole(form, "queued_rows"),
        tokens_per_day=_whole(form, "tokens_per_day"),
    )
    tenant = _text(form, "tenant")
    return for_tenant(tenant, grants) if tenant else grants


def _scope(form: FormData) -> Scope:
    scope = _text(form, "scope") or Scope.READ
    if scope not in list(Scope):
        raise InvalidRequest(f"The scope must be one of {', '.join(Scope)}.", "scope")
    return Scope(scope)


def _text(form: FormData, name: str) -> str:
    text = str(form.get(name, "")).strip()
    if len(text) > 200 or not text.isprintable():
        raise InvalidRequest("At most 200 printable characters.", name)
    return text


def _list(form: FormData, name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in _text(form, name).split(",") if part.strip())


def _number(form: FormData, name: str, most: float) -> float | None:
    text = _text(form, name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise InvalidRequest(f"{text!r} is not a number.", name) from error
    if not 0 < value <= most:
        raise InvalidRequest(f"Give a number above 0, and at most {most:g}.", name)
    return value


def _whole(form: FormData, name: str) -> int | None:
    value = _number(form, name, 2**53)
    if value is not None and value != int(value):
        raise InvalidRequest("Give a whole number.", name)
    return None if value is None else int(value)
