"""New task: choose a table, look at its first rows as they will be embedded, see what it costs, start."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import ImmutableMultiDict

from app.api.models import ProcessRequest
from app.api.presence import while_connected
from app.api.routes.files import received
from app.api.routes.process import estimated, submitted_for
from app.api.service import Service, TheService
from app.api.sight import seen_task, usual_namespace
from app.api.uploads import Incoming, incoming
from app.api.views import EstimateView
from app.callers import Caller
from app.web.csrf import FIELD, HEADER, CsrfChecked, OwnOrigin, check_token
from app.web.look import attempted, columns, look
from app.web.render import page
from app.web.tables import SAMPLE, sample, tables_of
from app.web.visitor import SubmittingVisitor
from app.web.wish import ORIGIN, SPELLING, Wish
from rowvec.ledgers.base import Submitted
from rowvec.preview import Preview
from rowvec.uploads import new_upload_id, upload_name

router = APIRouter()

COUNTED_UNASKED = 64 << 20
"""Bytes up to which a table is scanned for its estimate without being asked to."""
SAMPLE_OPTIONS = {"id_column": "id", "text": "template", "text_template": "{title}: {body}"}
RepairsOf = Annotated[str | None, Query(max_length=64)]


@router.get("/new")
async def choose(
    request: Request, the: TheService, caller: SubmittingVisitor, repairs: RepairsOf = None
) -> Response:
    """With `repairs`, a task's id: its repaired rows are sent in."""
    parent = await seen_task(the, caller, repairs) if repairs else None
    return page(
        request,
        "new_task.html",
        parent=parent,
        takes_uploads=caller.grants.takes_source("upload", "any"),
        most_bytes=the.settings.max_upload_bytes,
        sample=None if parent or sample() is None else SAMPLE.name,
        tables=None if parent else await tables_of(the, caller),
        asks_metabase=not parent and bool(the.settings.metabase_url),
    )


@router.post("/new/upload", dependencies=[OwnOrigin])
async def upload(request: Request, the: TheService, caller: SubmittingVisitor) -> Response:
    """A form with the token before its file, streamed; scripts are told where to go on."""
    file = incoming(request)
    file.parts = _of_this_session(request, file, file.parts)
    sent = await received(request, the, caller, file)
    parent = file.fields.get("parent_id", b"").decode("utf-8", "replace")
    to = _address(data_source="upload", file_id=sent.file_id, name=sent.name, parent_id=parent)
    if "text/html" not in request.headers.get("Accept", ""):
        return JSONResponse({"next": to}, 201)
    return RedirectResponse(to, 303)


async def _of_this_session(
    request: Request, file: Incoming, parts: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The file, nothing of it before the token was seen."""
    is_checked = False
    async for part in parts:
        if not is_checked:
            _check(request, file)
            is_checked = True
        yield part
    if not is_checked:
        _check(request, file)


def _check(request: Request, file: Incoming) -> None:
    brought = file.fields.get(FIELD, b"").decode("latin-1")
    check_token(request, request.headers.get(HEADER, brought))


@router.post("/new/sample", dependencies=[CsrfChecked])
async def use_sample(the: TheService, caller: SubmittingVisitor) -> Response:
    """As an upload of the caller's: every key that may submit may read those."""
    file_id = new_upload_id(caller.grants.tenant)
    await the.machine.files.write(upload_name(file_id), sample() or b"")
    options = {"data_source": "upload", "file_id": file_id, "name": SAMPLE.name, **SAMPLE_OPTIONS}
    return RedirectResponse(_address(**options), 303)


def _address(**options: str) -> str:
    return f"/new/table?{urlencode({name: value for name, value in options.items() if value})}"


@router.get("/new/table")
async def table(request: Request, the: TheService, caller: SubmittingVisitor) -> Response:
    """The options may stand in the address; without any, what is usual is filled in."""
    wish = Wish(request.query_params)
    preview, wish = await look(request, the, caller, wish)
    if preview is not None and "id" in preview.spec.header and _is_fresh(wish):
        preview, wish = await look(request, the, caller, _with(wish, id_column="id"))
    return await _configured(request, the, caller, wish, preview)


def _is_fresh(wish: Wish) -> bool:
    return not set(wish.form) - {*ORIGIN, *SPELLING, "name"} and "parent_id" not in wish.form


def _with(wish: Wish, **more: str) -> Wish:
    return replace(wish, form=ImmutableMultiDict([*wish.form.multi_items(), *more.items()]))


@router.post("/new/table", dependencies=[CsrfChecked])
async def changed(request: Request, the: TheService, caller: SubmittingVisitor) -> Response:
    """The preview for other options: a piece of the page where htmx asks, else the page."""
    preview, wish = await look(request, the, caller, Wish(await request.form()))
    if request.headers.get("HX-Request") == "true":
        status = 422 if wish.errors else 200
        told = _seen(wish, preview)
        return page(request, "_preview_told.html", status_code=status, fields=ERROR_FIELDS, **told)
    return await _configured(request, the, caller, wish, preview)


@router.post("/new/estimate", dependencies=[CsrfChecked])
async def estimate(request: Request, the: TheService, caller: SubmittingVisitor) -> Response:
    async def work(body: ProcessRequest) -> EstimateView:
        return EstimateView.of(await while_connected(request, estimated(body, the, caller)))

    found, wish = await attempted(the, Wish(await request.form()), work)
    return page(request, "_estimate.html", found=found, wish=wish)


@router.post("/new/start", dependencies=[CsrfChecked])
async def start(request: Request, the: TheService, caller: SubmittingVisitor) -> Response:
    """To the task's page; where it is refused, the page again with the reason."""
    wish = Wish(await request.form())

    async def work(body: ProcessRequest) -> Submitted:
        return await submitted_for(body, the, caller, _once(wish, body))

    submitted, wish = await attempted(the, wish, work)
    if submitted is not None:
        return RedirectResponse(f"/tasks/{submitted.task.id}", 303)
    return await _configured(request, the, caller, wish, None)


def _once(wish: Wish, body: ProcessRequest) -> str:
    """A form that is sent twice starts one task, unless it asks for something else the second time."""
    told = f"{wish.value('once')} {body.model_dump_json()}"
    return f"page-{hashlib.sha256(told.encode()).hexdigest()}"


ERROR_FIELDS = (
    *("namespace", "id_column", "text_columns", "text_template", "metadata_columns", "date_column"),
    *("start_date", "end_date", "date_format", "delimiter", "encoding", "batch_size", "max_tokens"),
    *("max_dollars", "id_prefix", "verify"),
)
"""The fields that have a place for what is wrong with them."""


async def _configured(
    request: Request, the: Service, caller: Caller, wish: Wish, preview: Preview | None
) -> Response:
    names = await columns(request, the, caller, preview, wish)
    return page(
        request,
        "new_table.html",
        status_code=422 if wish.errors else 200,
        columns=names,
        usual=usual_namespace(caller),
        once=wish.value("once") or secrets.token_hex(16),
        price=the.machine.embedder.price,
        **_seen(wish, preview),
    )


def _seen(wish: Wish, preview: Preview | None) -> dict[str, Any]:
    elsewhere = {name: words for name, words in wish.errors.items() if name not in ERROR_FIELDS}
    return {
        "wish": wish,
        "preview": preview,
        "elsewhere": elsewhere,
        "counts_unasked": preview is not None and _is_quick(preview),
    }


def _is_quick(preview: Preview) -> bool:
    """What must be exported has no size before."""
    return 0 < preview.spec.source.size <= COUNTED_UNASKED
