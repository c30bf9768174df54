"""All routes, by what they are about. Paths are written out in full where they are declared."""

from fastapi import APIRouter

from app.api.auth import WITH_A_KEY, Reading
from app.api.routes import docs, events, files, health, limits, process, search, tasks

router = APIRouter()
for part in (process, tasks, events, files, search, limits):
    router.include_router(part.router, dependencies=[*WITH_A_KEY, Reading])
for part in (health, docs):
    router.include_router(part.router)

__all__ = ["router"]
