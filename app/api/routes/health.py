"""Is it alive, can it work, how much has it done. Needs no key and shows no secret."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from app.api.auth import WITH_A_KEY, OperatorInProduction
from app.api.metrics import exposition
from app.api.openapi import refuses
from app.api.service import Service, TheService
from app.api.views import Health, Workers
from rowvec import __version__
from rowvec.backends import scheme
from rowvec.errors import PauseNeeded, RowvecError, TaskFailed, Unavailable
from rowvec.gauges import gauges
from rowvec.sweeper import living

router = APIRouter(tags=["health"])

PATIENCE_SECONDS = 2.0
WELL = ("connected", "not configured")
WAITS = "rows wait until it is well again"
MEANS = {
    "redis": (
        "Redis",
        "workers hear of new work up to three seconds later, and each keeps to its share of the rates",
    ),
    "ledger": ("The ledger", "nothing can be submitted or looked at, and work waits until it is well again"),
    "vector_store": ("The vector store", WAITS),
    "embedder": ("The embedder", WAITS),
    "file_store": ("The file store", f"nothing can be uploaded, and {WAITS}"),
}
"""How a part is called, and what it means for the work that it is away."""
NOBODY_WORKS = "No worker is alive: what is submitted waits, unharmed."
log = structlog.get_logger("app.api")


async def _answer(part: str, ping: Callable[[], Awaitable[bool | None]]) -> str:
    """A ping that says False is that of a part which is not in use."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            used = await ping()
    except (PauseNeeded, TaskFailed) as error:
        log.warning("part_refusing", part=part, error=type(error).__name__)
        return "refusing"
    except (RowvecError, OSError) as error:
        log.warning("part_not_answering", part=part, error=type(error).__name__)
        return "not answering"
    return "not configured" if used is False else "connected"


async def _workers(the: Service) -> Workers:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            alive = await living(the.machine.ledger, the.machine.limits.lease_seconds)
    except (RowvecError, OSError) as error:
        log.warning("part_not_answering", part="ledger", error=type(error).__name__)
        return Workers(active=0, available=0)
    return Workers(active=len(alive), available=sum(worker.holding < worker.slots for worker in alive))


@router.get("/health", operation_id="health", summary="How the service and its parts are")
@router.get("/api/v1/health", operation_id="healthV1", summary="How the service and its parts are")
async def health(the: TheService) -> Health:
    """`degraded` when a part does not answer or no worker is alive: what was submitted waits, unharmed."""
    machine = the.machine
    pings = {
        "redis": the.doorbell.ping,
        "ledger": machine.ledger.ping,
        "vector_store": machine.store.ping,
        "embedder": machine.embedder.ping,
        "file_store": machine.files.ping,
    }
    workers, answers = await asyncio.gather(
        _workers(the), asyncio.gather(*(_answer(part, ping) for part, ping in pings.items()))
    )
    parts = dict(zip(pings, answers, strict=True))
    wrong = _in_words(parts, workers)
    on_dynamodb = scheme(machine.settings["LEDGER_URL"]) == "dynamodb"
    return Health(
        status="degraded" if wrong else "healthy",
        version=__version__,
        message=" ".join(wrong) or "Every part answers.",
        workers=workers,
        dynamodb=parts["ledger"] if on_dynamodb else "not configured",
        **parts,
    )


def _in_words(parts: Mapping[str, str], workers: Workers) -> list[str]:
    """A sentence for each part that is not well. None has an address in it: `doctor` says more."""
    wrong = [
        f"{name} is {parts[part]}: {meaning}."
        for part, (name, meaning) in MEANS.items()
        if parts[part] not in WELL
    ]
    if not workers.active and parts["ledger"] in WELL:
        wrong.append(NOBODY_WORKS)
    return wrong


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
    summary="Measurements for Prometheus, of the whole service",
    response_class=PlainTextResponse,
    dependencies=[*WITH_A_KEY, OperatorInProduction],
    responses=refuses(401, 403, 503),
)
async def metrics(the: TheService) -> PlainTextResponse:
    """Of all workers on all hosts, and the answers of this host. 503 where the ledger is away."""
    machine = the.machine
    overview, used = await asyncio.gather(machine.ledger.overview(), gauges(machine))
    answers = await asyncio.to_thread(the.answers.exposition)
    text = exposition(overview, list(used.workers), used.providers) + answers
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
