"""`limits`, `pause-provider`, `resume-provider`: what is in use, and the hold on all calls to a provider."""

from __future__ import annotations

from typing import Annotated

import typer

from app.api.looks import LimitsView, ProviderView, WorkerView
from app.cli.door import through
from app.cli.exits import Exit
from app.cli.screen import Json, Screen
from rowvec import gates
from rowvec.gauges import gauges
from rowvec.machine import Machine

Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="embedder or vector_store.")]


def limits(json: Json = False) -> None:
    """Show how much of each provider's limits is in use, and who works."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        view = LimitsView.of(await gauges(machine), whole=True)
        screen.answer(view.model_dump(mode="json"), lambda: _told(view))
        return Exit.DONE

    through(json, work)


def pause_provider(
    provider: Provider,
    reason: Annotated[str, typer.Option(help="Shown wherever tasks say what they wait for.")] = "on request",
    json: Json = False,
) -> None:
    """Hold all calls to a provider, in all processes, until it is resumed."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        words = gates.in_words(await gates.pause(machine.ledger, provider, reason))
        screen.answer({"provider": provider, "paused": words}, lambda: words)
        screen.note(f"Go on with: ./vectordb resume-provider {provider}")
        return Exit.DONE

    through(json, work)


def resume_provider(provider: Provider, json: Json = False) -> None:
    """Let calls to a paused provider go on."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        await gates.resume(machine.ledger, provider)
        answer = {"provider": provider, "paused": None}
        screen.answer(answer, lambda: f"Calls to {gates.NAMES[provider]} go on.")
        return Exit.DONE

    through(json, work)


def _told(view: LimitsView) -> str:
    lines = [line for provider in view.providers for line in _provider(provider)]
    lines.append(f"workers: {view.workers_alive} alive")
    return "\n".join(lines + [_worker(worker) for worker in view.workers or ()])


def _provider(view: ProviderView) -> list[str]:
    lines = [f"{view.provider}: {view.backend}"]
    if view.paused:
        lines.append(f"  {view.paused}")
    if view.requests_per_second is not None:
        lines.append(f"  requests/s: {_of(view.requests_per_second, view.most_requests_per_second)}")
        lines.append(f"  tokens/min: {_of(view.tokens_per_minute, view.most_tokens_per_minute)}")
        lines.append(f"  waiting requests: {view.queued_requests}")
    if view.quiet_until:
        lines.append(f"  quiet after a 429 until {view.quiet_until:%H:%M:%S} UTC")
    return lines


def _of(used: float | None, most: float | None) -> str:
    limit = f"of {most:,.0f} ({(used or 0) / most:.0%})" if most else "of no known limit"
    return f"{used or 0:,.1f} {limit}"


def _worker(view: WorkerView) -> str:
    return f"  {view.id}: {view.holding} of {view.slots} slots, last beat {view.silent_seconds:.0f} s ago"
