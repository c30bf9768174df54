"""A task's errors."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.web.render import page
from app.web.visitor import TheVisitor, VisibleTask

router = APIRouter()


@router.get("/tasks/{task_id}/errors")
async def show(request: Request, task: VisibleTask, _caller: TheVisitor) -> Response:
    return page(request, "errors.html", task=task)
