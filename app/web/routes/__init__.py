"""All pages, one file each."""

from fastapi import APIRouter

from app.web import statics
from app.web.routes import chunks, errors, keys, limits, new_task, sample, search, sign_in, task, tasks

router = APIRouter(include_in_schema=False)
for part in (statics, sign_in, tasks, sample, task, chunks, errors, limits, search, new_task, keys):
    router.include_router(part.router)

__all__ = ["router"]
