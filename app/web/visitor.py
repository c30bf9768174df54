"""Who looks at a page. What a visitor may see and do is what the key may that signed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from app.api.auth import count_request
from app.api.errors import DoorRefusal
from app.api.service import Service, TheService
from app.api.sight import TaskId, seen_task
from app.callers import Caller
from app.web.site import Site, TheSite
from rowvec.api_key import Scope
from rowvec.model import Task


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor and what its forms must bring along; pages are rendered with it."""

    caller: Caller
    csrf: str


class SignInNeeded(DoorRefusal):
    """Browsers are led to the sign-in page, everyone else gets a 401."""

    def __init__(self) -> None:
        super().__init__("unauthorized", "Sign in first: no session, or one that has ended.")


async def visit(request: Request, the: Service, site: Site) -> Visit | None:
    """Who is signed in; remembered in the request, for its page. Raises Unavailable."""
    session = await site.sessions.of(request, the.machine.ledger)
    caller = await the.keyring.caller_by_id(session.key_id) if session else None
    if session is None or caller is None:
        return None
    found = Visit(caller, site.sessions.csrf(session))
    request.state.visit = found
    return found


async def watcher(request: Request, the: TheService, site: TheSite) -> Caller:
    """For streams and what stands in for them: they cost nothing of the key's requests."""
    found = await visit(request, the, site)
    if found is None:
        raise SignInNeeded
    return found.caller


async def visitor(the: TheService, caller: Annotated[Caller, Depends(watcher)]) -> Caller:
    await count_request(the, caller)
    return caller


TheWatcher = Annotated[Caller, Depends(watcher)]
TheVisitor = Annotated[Caller, Depends(visitor)]


async def _submitting(caller: TheVisitor) -> Caller:
    caller.require(Scope.WRITE)
    return caller


async def _admin(caller: TheVisitor) -> Caller:
    caller.require(Scope.ADMIN)
    return caller


SubmittingVisitor = Annotated[Caller, Depends(_submitting)]
AdminVisitor = Annotated[Caller, Depends(_admin)]


async def _visible(task_id: TaskId, the: TheService, caller: TheWatcher) -> Task:
    return await seen_task(the, caller, task_id)


VisibleTask = Annotated[Task, Depends(_visible)]
"""The task of the address. Raises UnknownTask for another tenant's, as the API does."""


def safe_next(address: str) -> str:
    """Where to go after signing in: a page of ours, whatever was asked for."""
    is_ours = address.startswith("/") and address.isprintable() and not address.startswith(("//", "/\\"))
    return address if is_ours and "\\" not in address else "/"


def here(request: Request) -> str:
    """The page that is being looked at, as a path with its query."""
    if shown := request.headers.get("HX-Current-URL"):
        parts = urlsplit(shown)
        return safe_next(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    if request.method != "GET":
        return "/"
    query = request.url.query
    return safe_next(f"{request.url.path}?{query}" if query else request.url.path)
