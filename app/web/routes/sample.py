"""A first task without a file: the table of the demo, sent in as if it had been uploaded."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import APIRouter, Request, Response

from app.api.models import ProcessRequest
from app.api.routes.process import process
from app.api.service import Service, TheService
from app.callers import Caller
from app.demo.sample import NAMESPACE, OPTIONS, build
from app.web.csrf import CsrfChecked
from app.web.render import gone_to
from app.web.visitor import SubmittingVisitor
from rowvec.uploads import new_upload_id, upload_name

router = APIRouter()

PIECE = 1 << 20
TITLE = "Python's documentation"


@router.post("/sample", dependencies=[CsrfChecked])
async def start(request: Request, the: TheService, caller: SubmittingVisitor) -> Response:
    """What the key may not do is refused by the same checks as any other submission."""
    caller.require_namespace(NAMESPACE)
    async with the.scans.taken():
        file_id = await _uploaded(the, caller)
    body = ProcessRequest.model_validate(
        {"data_source": "upload", "file_id": file_id, "title": TITLE, **OPTIONS}
    )
    accepted = await process(body, the, caller, Response())
    return gone_to(request, f"/tasks/{accepted.task_id}")


async def _uploaded(the: Service, caller: Caller) -> str:
    file_id = new_upload_id(caller.grants.tenant)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "sample.csv"
        await asyncio.to_thread(build, table)
        await the.machine.disk.require(table.stat().st_size)
        await the.machine.files.write_stream(upload_name(file_id), _pieces(table))
    return file_id


async def _pieces(table: Path) -> AsyncIterator[bytes]:
    with table.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
