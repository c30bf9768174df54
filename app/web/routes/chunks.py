"""A task's chunks: all of them at a glance, as a table, and one by one."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from app.api.looks import Grid
from app.api.routes.tasks import ChunkSeen
from app.api.service import Service, TheService
from app.api.sight import seen_task
from app.web.live import Picture
from app.web.render import page
from app.web.site import TheSite
from app.web.unhurried import Unhurried
from app.web.visitor import TheVisitor, TheWatcher, VisibleTask
from rowvec.errors import RowvecError
from rowvec.ledgers.base import MOST_MARKS
from rowvec.model import Chunk, ChunkState, Task
from rowvec.sample import SampleRow, sample

router = APIRouter()

A_TABLE = 100
MOST_CHANGES = 2_000
"""More changes than these are not told one by one: who watches fetches the grid anew."""

From = Annotated[int, Query(ge=0, le=2**53)]
After = Annotated[int, Query(ge=-1, le=2**53)]
Cells = list[tuple[int, str, str, float | None]]


@router.get("/tasks/{task_id}/chunks")
async def show(
    request: Request,
    task: VisibleTask,
    the: TheService,
    _caller: TheVisitor,
    start: From = 0,
    after: After = -1,
    state: ChunkSeen | None = None,
) -> Response:
    return page(
        request,
        "chunks.html",
        task=task,
        start=start,
        most=MOST_MARKS,
        drawn=await the.grids.of(the.machine.ledger, task, start),
        **await _table(the, task, after, state),
    )


@router.get("/tasks/{task_id}/chunks/cells")
async def cells(task: VisibleTask, the: TheService, _caller: TheWatcher, start: From = 0) -> Response:
    """What the page begins with, for one that has missed something."""
    drawn = await the.grids.of(the.machine.ledger, task, start)
    return Response(drawn.json, media_type="application/json")


@router.get("/live/tasks/{task_id}/chunks")
async def live(
    request: Request, task: VisibleTask, the: TheService, site: TheSite, caller: TheWatcher, start: From = 0
) -> Response:
    news = News()

    async def look() -> Picture:
        now = await seen_task(the, caller, task.id)
        drawn = await the.grids.of(the.machine.ledger, now, start)
        return Picture({"cells": news.since(drawn.grid)}, now.state.ended)

    return await site.live.answer(request, the, caller, ("chunks", task.id, start), Unhurried(look))


class News:
    """What has changed from one look at a grid to the next."""

    def __init__(self) -> None:
        self._version = ""
        self._cells: list[tuple[str, str, float | None]] = []

    def since(self, grid: Grid) -> str:
        """As the page's script reads it. Who has another version than `before` has missed something."""
        now = list(zip(grid.states, grid.tries, grid.seconds, strict=True))
        there = len(self._cells)
        changed: Cells = [
            (at, *cell) for at, cell in enumerate(now) if at >= there or self._cells[at] != cell
        ]
        told = {
            "before": self._version,
            "version": grid.version,
            "total": grid.total,
            "changed": changed if self._version and len(changed) <= MOST_CHANGES else None,
        }
        self._version, self._cells = grid.version, now
        return json.dumps(told, separators=(",", ":"))


@router.get("/tasks/{task_id}/chunks/table")
async def table(
    request: Request,
    task: VisibleTask,
    the: TheService,
    _caller: TheVisitor,
    after: After = -1,
    state: ChunkSeen | None = None,
) -> Response:
    return page(request, "_chunk_table.html", task=task, **await _table(the, task, after, state))


@router.get("/tasks/{task_id}/chunks/{number}")
async def one(
    request: Request,
    task: VisibleTask,
    the: TheService,
    _caller: TheVisitor,
    number: Annotated[int, Path(ge=0, le=2**53)],
) -> Response:
    found = await the.machine.ledger.chunks(task.id, 1, number - 1)
    if not found or found[0].plan.number != number:
        raise HTTPException(404)
    rows, trouble = await _sample(the, task, found[0])
    template = "_chunk.html" if request.headers.get("HX-Request") == "true" else "chunk.html"
    header = list(task.spec.header)
    return page(request, template, task=task, chunk=found[0], sample=rows, trouble=trouble, header=header)


async def _table(the: Service, task: Task, after: int, state: ChunkSeen | None) -> dict[str, Any]:
    wanted = ChunkState(state) if state else None
    chunks = await the.machine.ledger.chunks(task.id, A_TABLE, after, wanted)
    following = chunks[-1].plan.number if len(chunks) == A_TABLE else None
    return {"chunks": chunks, "state": state, "after": after, "following": following}


async def _sample(the: Service, task: Task, chunk: Chunk) -> tuple[list[SampleRow], str]:
    """Or why there is none: sources go, and copies with them."""
    try:
        return await sample(the.machine, task, chunk), ""
    except RowvecError as error:
        return [], the.machine.redact(error.message)
