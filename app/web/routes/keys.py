"""Keys."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.web.render import page
from app.web.visitor import AdminVisitor

router = APIRouter()


@router.get("/keys")
async def show(request: Request, _caller: AdminVisitor) -> Response:
    return page(request, "keys.html")
