"""Files that come in through the door."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.auth import TheCaller, Writing
from app.api.limits import lift_limit
from app.api.openapi import refuses
from app.api.service import Service, TheService
from app.api.uploads import Incoming, incoming
from app.api.views import UploadedFile
from app.callers import Caller
from rowvec.uploads import new_upload_id, upload_name

router = APIRouter(tags=["files"])

_BODY = {
    "requestBody": {
        # An empty file is one, and over HTTP it looks like no body at all.
        "required": False,
        "content": {
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.put(
    "/api/v1/files",
    operation_id="putFile",
    summary="Upload a table, as `curl -T` does",
    status_code=201,
    dependencies=[Writing],
    openapi_extra=_BODY,
    responses=refuses(401, 413, 415, 422, 503, 507),
)
@router.post(
    "/api/v1/files",
    operation_id="uploadFile",
    summary="Upload a table",
    status_code=201,
    dependencies=[Writing],
    openapi_extra=_BODY,
    responses=refuses(401, 413, 415, 422, 503, 507),
)
async def upload(request: Request, the: TheService, caller: TheCaller) -> UploadedFile:
    """Streamed to the file store as it arrives: `curl -T FILE`, `--data-binary @FILE` or `-F file=@FILE`."""
    return await received(request, the, caller, incoming(request))


async def received(request: Request, the: Service, caller: Caller, file: Incoming) -> UploadedFile:
    """The file, once all of it is in the file store. Raises DoorRefusal (413), DiskLow and Unavailable."""
    lift_limit(request, the.settings.max_upload_bytes)
    file_id = new_upload_id(caller.grants.tenant)
    await the.machine.disk.require(request.state.allowance.declared)
    parts = the.machine.disk.watched(file.parts)
    size = await the.machine.files.write_stream(upload_name(file_id), parts)
    return UploadedFile(file_id=file_id, bytes=size, name=file.name)
