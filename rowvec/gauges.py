"""How much of each provider's budget is in use, and who works: what all processes together tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rowvec.backends import scheme
from rowvec.gates import EMBEDDER, VECTOR_STORE
from rowvec.machine import Machine
from rowvec.model import ProviderPause, WorkerInfo
from rowvec.sweeper import living
from rowvec.usage import WINDOW_SECONDS, Usage


@dataclass(frozen=True, slots=True)
class Gauge:
    """A provider: requests a second and tokens a minute that were used over the last minute, and those it
    takes at most (None: no limit, or none known); requests that wait for their turn; until when everybody is
    quiet after a 429. Of a vector store only the pause is known."""

    provider: str
    backend: str
    pause: ProviderPause | None
    requests_per_second: float | None = None
    most_requests_per_second: float | None = None
    tokens_per_minute: float | None = None
    most_tokens_per_minute: float | None = None
    queued: int | None = None
    quiet_until: float | None = None


@dataclass(frozen=True, slots=True)
class Gauges:
    """At one moment of the ledger's clock. What workers tell is as old as their last beat."""

    now: float
    providers: Sequence[Gauge]
    workers: Sequence[WorkerInfo]


async def gauges(machine: Machine) -> Gauges:
    """Searches of this process are counted with the workers' calls; those of others are not."""
    ledger = machine.ledger
    now = await ledger.now()
    workers = await living(ledger, machine.limits.lease_seconds)
    pauses = {pause.provider: pause for pause in await ledger.provider_pauses()}
    told = [(worker.usage, worker.beat_at) for worker in workers]
    told.append((await machine.governor.usage(watching=True), now))
    return Gauges(now, [_embedder(machine, told, pauses, now), _store(machine, pauses)], workers)


def _embedder(
    machine: Machine, told: Sequence[tuple[Usage, float]], pauses: dict[str, ProviderPause], now: float
) -> Gauge:
    usages = [usage for usage, _ in told]
    quiet = max(at + usage.quiet for usage, at in told)
    return Gauge(
        EMBEDDER,
        f"{machine.embedder_name} ({machine.embedder.model})",
        pauses.get(EMBEDDER),
        sum(usage.requests for usage in usages) / WINDOW_SECONDS,
        max((u.requests_per_second for u in usages if u.requests_per_second), default=None),
        sum(usage.tokens for usage in usages) * 60 / WINDOW_SECONDS,
        max((u.tokens_per_minute for u in usages if u.tokens_per_minute), default=None),
        sum(usage.queued for usage in usages),
        quiet if quiet > now else None,
    )


def _store(machine: Machine, pauses: dict[str, ProviderPause]) -> Gauge:
    return Gauge(VECTOR_STORE, scheme(machine.settings["VECTOR_STORE_URL"]), pauses.get(VECTOR_STORE))
