"""Who is calling: an API key in `X-API-Key`, or as a bearer token."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from app.api.errors import DoorRefusal
from app.api.service import TheService
from app.keys import mistyped

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="vectordb"'}
_header = APIKeyHeader(name="X-API-Key", scheme_name="apiKey", auto_error=False)
_bearer = HTTPBearer(scheme_name="bearer", auto_error=False)

Presented = Annotated[str | None, Depends(_header)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def require_key(the: TheService, header: Presented, bearer: Bearer) -> str:
    """The id of the caller's key. Raises DoorRefusal (401), in the same words for unknown and revoked."""
    key = header or (bearer.credentials if bearer else None)
    if not key:
        raise DoorRefusal("unauthorized", "Send an API key in the X-API-Key header.", _CHALLENGE)
    owner = await the.keyring.owner(key)
    if owner is not None:
        return owner
    if mistyped(key):
        raise DoorRefusal(
            "mistyped-key", "This API key was mistyped or cut: its checksum does not match.", _CHALLENGE
        )
    raise DoorRefusal("unauthorized", "This API key is not valid.", _CHALLENGE)


async def require_key_in_production(the: TheService, header: Presented, bearer: Bearer) -> None:
    """For pages that help while building and tell too much on the open internet."""
    if the.settings.environment.strip().lower() == "production":
        await require_key(the, header, bearer)


KeyRequired = Depends(require_key)
KeyInProduction = Depends(require_key_in_production)
