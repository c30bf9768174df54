"""New task."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.web.render import page
from app.web.visitor import SubmittingVisitor

router = APIRouter()


@router.get("/new")
async def show(request: Request, _caller: SubmittingVisitor) -> Response:
    return page(request, "new_task.html")
