"""How much of the limits is in use, who works, and the pauses of providers."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from app.api.auth import Operating, TheCaller
from app.api.looks import LimitsView, ProviderView, sees_all
from app.api.models import ProviderPauseRequest
from app.api.openapi import refuses
from app.api.service import Service, TheService
from rowvec import gates
from rowvec.gauges import gauges

router = APIRouter(tags=["limits"])

Provider = Literal["embedder", "vector_store"]


@router.get(
    "/api/v1/limits",
    operation_id="getLimits",
    summary="How much of each limit is in use, and who works",
    responses=refuses(401, 503),
)
async def limits(the: TheService, caller: TheCaller) -> LimitsView:
    """As old as the workers' last beats, ten seconds by default."""
    return LimitsView.of(await gauges(the.machine), sees_all(caller))


@router.post(
    "/api/v1/providers/{provider}/pause",
    operation_id="pauseProvider",
    dependencies=[Operating],
    summary="Hold all calls to a provider until it is resumed",
    responses=refuses(400, 401, 403, 413, 422, 503),
)
async def pause(
    provider: Provider, the: TheService, body: ProviderPauseRequest | None = None
) -> ProviderView:
    """All processes hold their calls within a second, through restarts, too; calls under way end first.
    Tasks keep their place and say what they wait for. Searches are refused meanwhile (503)."""
    await gates.pause(the.machine.ledger, provider, (body or ProviderPauseRequest()).reason)
    return await _told(the, provider)


@router.post(
    "/api/v1/providers/{provider}/resume",
    operation_id="resumeProvider",
    dependencies=[Operating],
    summary="Let calls to a provider go on",
    responses=refuses(401, 403, 422, 503),
)
async def resume(provider: Provider, the: TheService) -> ProviderView:
    """Idempotent."""
    await gates.resume(the.machine.ledger, provider)
    await the.doorbell.ring()
    return await _told(the, provider)


async def _told(the: Service, provider: str) -> ProviderView:
    found = await gauges(the.machine)
    return next(ProviderView.of(gauge) for gauge in found.providers if gauge.provider == provider)
