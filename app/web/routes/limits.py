"""Workers and limits: who is alive, how much of each budget is in use, and the pauses of providers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from app.api.looks import LimitsView, sees_all
from app.api.models import ProviderPauseRequest
from app.api.routes import limits as api
from app.api.service import Service, TheService
from app.callers import Caller
from app.web.csrf import CsrfChecked
from app.web.live import Picture
from app.web.render import fragment, page
from app.web.site import TheSite
from app.web.unhurried import Unhurried
from app.web.visitor import TheVisitor, TheWatcher
from rowvec.api_key import Scope
from rowvec.gauges import gauges

router = APIRouter()


async def _operator(caller: TheVisitor) -> Caller:
    caller.require_operator()
    return caller


OperatingVisitor = Annotated[Caller, Depends(_operator)]


@router.get("/limits")
async def show(request: Request, the: TheService, caller: TheVisitor) -> Response:
    return page(request, "limits.html", **await _told(the, caller))


@router.get("/live/limits")
async def live(request: Request, the: TheService, site: TheSite, caller: TheWatcher) -> Response:
    async def look() -> Picture:
        return Picture({"limits": fragment("_limits.html", caller, **await _told(the, caller))})

    return await site.live.answer(request, the, caller, ("limits",), Unhurried(look))


@router.post("/limits/{provider}/pause", dependencies=[CsrfChecked])
async def pause(
    request: Request,
    the: TheService,
    _caller: OperatingVisitor,
    provider: api.Provider,
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    wish = ProviderPauseRequest(reason=reason.strip()) if reason.strip() else None
    await api.pause(provider, the, wish)
    return _done(request, "Paused", "Calls under way end first. Tasks keep their place until you resume.")


@router.post("/limits/{provider}/resume", dependencies=[CsrfChecked])
async def resume(
    request: Request, the: TheService, _caller: OperatingVisitor, provider: api.Provider
) -> Response:
    await api.resume(provider, the)
    return _done(request, "Resumed", "Work goes on within a few seconds.")


async def _told(the: Service, caller: Caller) -> dict[str, Any]:
    grants = caller.grants
    return {
        "limits": LimitsView.of(await gauges(the.machine), sees_all(caller)),
        "may_operate": grants.scope.holds(Scope.ADMIN) and not grants.tenant,
    }


def _done(request: Request, title: str, told: str) -> Response:
    if request.headers.get("HX-Request") == "true":
        return page(request, "_done.html", headers={"HX-Trigger": "live-refresh"}, title=title, words=told)
    return RedirectResponse("/limits", 303)
