"""`search QUERY`: the proof that the data landed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from app.api.views import MatchView, SearchResult
from app.cli.door import through
from app.cli.exits import Exit
from app.cli.screen import Json, Screen, shortened
from rowvec.machine import Machine
from rowvec.search import search as nearest


def search(
    query: Annotated[str, typer.Argument(help="What you are looking for, in words.")],
    namespace: Annotated[str, typer.Option(help="Where to look.")] = "default",
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many rows.")] = 10,
    json: Json = False,
) -> None:
    """Find the rows nearest in meaning."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        started = time.perf_counter()
        found = [
            MatchView(id=match.id, score=match.score, text=match.text, metadata=dict(match.metadata))
            for match in await nearest(machine, namespace, query, limit)
        ]
        took = round((time.perf_counter() - started) * 1000, 1)
        result = SearchResult(matches=found, model=machine.embedder.model, took_ms=took)
        screen.answer(result.model_dump(mode="json"), lambda: matches(found) or f"Nothing in '{namespace}'.")
        return Exit.DONE

    through(json, work)


def matches(found: Sequence[MatchView]) -> str:
    """One line a match: score, id, the beginning of its text."""
    return "\n".join(
        f"{match.score:6.3f}  {shortened(match.id, 60)}  {shortened(match.text, 90)}" for match in found
    )
