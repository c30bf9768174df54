"""Is it alive, can it work, how much has it done. Needs no key and shows no secret."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from app.api.auth import KeyInProduction
from app.api.metrics import exposition
from app.api.openapi import refuses
from app.api.service import Service, TheService
from app.api.views import Health, Workers
from rowvec import __version__
from rowvec.backends import scheme
from rowvec.errors import RowvecError, Unavailable

router = APIRouter(tags=["health"])

PATIENCE_SECONDS = 2.0
log = structlog.get_logger("app.api")


async def _answer(part: str, ping: Callable[[], Awaitable[bool | None]]) -> str:
    """A ping that says False is that of a part which is not in use."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            used = await ping()
    except (RowvecError, OSError) as error:
        log.warning("part_not_answering", part=part, error=type(error).__name__)
        return "not answering"
    return "not configured" if used is False else "connected"


async def _workers(the: Service) -> Workers:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            alive = [worker for worker in await the.machine.ledger.workers() if worker.alive]
    except (RowvecError, OSError) as error:
        log.warning("part_not_answering", part="ledger", error=type(error).__name__)
        return Workers(active=0, available=0)
    return Workers(active=len(alive), available=sum(worker.holding < worker.slots for worker in alive))


@router.get("/health", operation_id="health", summary="How the service and its parts are")
@router.get("/api/v1/health", operation_id="healthV1", summary="How the service and its parts are")
async def health(the: TheService) -> Health:
    """`degraded` when a part does not answer or no worker is alive: what was submitted waits, unharmed."""
    machine = the.machine
    redis, ledger, store, embedder, files, workers = await asyncio.gather(
        _answer("redis", the.doorbell.ping),
        _answer("ledger", machine.ledger.ping),
        _answer("vector_store", machine.store.ping),
        _answer("embedder", machine.embedder.ping),
        _answer("file_store", machine.files.ping),
        _workers(the),
    )
    well = workers.active > 0 and {redis, ledger, store, embedder, files} <= {"connected", "not configured"}
    return Health(
        status="healthy" if well else "degraded",
        version=__version__,
        workers=workers,
        redis=redis,
        dynamodb=ledger if scheme(machine.settings["LEDGER_URL"]) == "dynamodb" else "not configured",
        ledger=ledger,
        vector_store=store,
        embedder=embedder,
        file_store=files,
    )


@router.get("/livez", operation_id="live", summary="The process answers")
async def livez() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/readyz", operation_id="ready", summary="The ledger answers", responses=refuses(503))
async def readyz(the: TheService) -> dict[str, str]:
    if await _answer("ledger", the.machine.ledger.ping) != "connected":
        raise Unavailable("The ledger does not answer.", retry_after=1)
    return {"status": "ready"}


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Counters for Prometheus, of this process",
    response_class=PlainTextResponse,
    dependencies=[KeyInProduction],
    responses=refuses(401),
)
async def metrics(the: TheService) -> PlainTextResponse:
    text = exposition(the.tally, await _workers(the))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
