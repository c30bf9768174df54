"""Who is calling: an API key in `X-API-Key`, or as a bearer token. What it may do is checked here, too."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import Headers

from app.api.errors import DoorRefusal
from app.api.service import Service, TheService, service
from app.callers import Caller
from app.keys import mistyped
from rowvec.api_key import Scope
from rowvec.errors import LimitReached

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="vectordb"'}
_header = APIKeyHeader(name="X-API-Key", scheme_name="apiKey", auto_error=False)
_bearer = HTTPBearer(scheme_name="bearer", auto_error=False)

WITH_A_KEY = [Depends(_header), Depends(_bearer)]
"""For the description of routes that need one. The framework solves what a dependency depends on each time
it is named, so `require_key` has none and looks at the headers itself."""


async def require_key(request: Request) -> Caller:
    """The caller. Raises DoorRefusal (401), in the same words for unknown, expired and revoked keys, and
    LimitReached for one that asks too often."""
    the = await service(request)
    key = _presented(request.headers)
    if not key:
        raise DoorRefusal("unauthorized", "Send an API key in the X-API-Key header.", _CHALLENGE)
    caller = await the.keyring.caller(key)
    if caller is not None:
        await count_request(the, caller)
        return caller
    if mistyped(key):
        raise DoorRefusal(
            "mistyped-key", "This API key was mistyped or cut: its checksum does not match.", _CHALLENGE
        )
    raise DoorRefusal("unauthorized", "This API key is not valid.", _CHALLENGE)


def _presented(headers: Headers) -> str | None:
    kind, _, token = headers.get("Authorization", "").partition(" ")
    return headers.get("X-API-Key") or (token.strip() if kind.lower() == "bearer" else None)


async def count_request(the: Service, caller: Caller) -> None:
    """In the ledger, so that the limit holds for all processes together. Raises LimitReached."""
    most = caller.grants.requests_per_second
    if most is None:
        return
    if not await the.machine.ledger.draw(f"requests {caller.account}", 1, most, every=1.0):
        raise LimitReached(f"This API key may make {most} requests a second. Ask again in a second.", 1.0)


TheCaller = Annotated[Caller, Depends(require_key)]


def _needs(scope: Scope) -> Any:
    async def check(caller: TheCaller) -> None:
        caller.require(scope)

    return Depends(check)


async def _operator(caller: TheCaller) -> None:
    caller.require_operator()


Operating = Depends(_operator)
"""For what all tenants feel."""

Reading, Writing, Administering = _needs(Scope.READ), _needs(Scope.WRITE), _needs(Scope.ADMIN)


async def require_key_in_production(request: Request, the: TheService) -> Caller | None:
    """For pages that help while building and tell too much on the open internet."""
    return await require_key(request) if the.is_production else None


async def require_operator_in_production(
    caller: Annotated[Caller | None, Depends(require_key_in_production)],
) -> None:
    """For what shows the traffic of all tenants."""
    if caller is not None:
        caller.require_operator()


KeyInProduction = Depends(require_key_in_production)
OperatorInProduction = Depends(require_operator_in_production)
