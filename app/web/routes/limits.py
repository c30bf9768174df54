"""Workers and limits."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.web.render import page
from app.web.visitor import TheVisitor

router = APIRouter()


@router.get("/limits")
async def show(request: Request, _caller: TheVisitor) -> Response:
    return page(request, "limits.html")
