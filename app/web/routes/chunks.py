"""A task's chunks."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.web.render import page
from app.web.visitor import TheVisitor, VisibleTask

router = APIRouter()


@router.get("/tasks/{task_id}/chunks")
async def show(request: Request, task: VisibleTask, _caller: TheVisitor) -> Response:
    return page(request, "chunks.html", task=task)
