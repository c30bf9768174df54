"""A table that somebody is about to start a task on, as far as it can be told before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from fastapi import Request
from pydantic import ValidationError

from app.api.errors import DoorRefusal
from app.api.models import ProcessRequest
from app.api.presence import while_connected
from app.api.routes.process import previewed
from app.api.service import Service
from app.callers import Caller
from app.web.wish import ORIGIN, SPELLING, Wish, in_fields
from rowvec.errors import InvalidRequest, RowvecError
from rowvec.preview import Preview

T = TypeVar("T")


async def attempted(
    the: Service, wish: Wish, do: Callable[[ProcessRequest], Awaitable[T]]
) -> tuple[T | None, Wish]:
    """What comes of a wish, or else the wish with the reason, in words and beside its field.

    Faults of the service itself are raised.
    """
    try:
        return await do(wish.body()), wish
    except ValidationError as error:
        return None, replace(wish, errors=in_fields(error))
    except InvalidRequest as error:
        return None, replace(wish, errors={error.field or "": the.machine.redact(error.message)})
    except RowvecError as error:
        return None, replace(wish, errors={"": the.machine.redact(error.message)})
    except DoorRefusal as error:
        return None, replace(wish, errors={"": error.detail})


async def look(request: Request, the: Service, caller: Caller, wish: Wish) -> tuple[Preview | None, Wish]:
    """The first rows as this wish would have them."""
    return await attempted(the, wish, lambda body: while_connected(request, previewed(body, the, caller)))


async def columns(
    request: Request, the: Service, caller: Caller, preview: Preview | None, wish: Wish
) -> tuple[str, ...]:
    """The table's columns, also where the wish about them cannot be had; empty where it is no table."""
    if preview is None and not set(wish.errors) & {"", *ORIGIN, *SPELLING}:
        preview, _ = await look(request, the, caller, wish.bare())
    return preview.spec.header if preview else ()
