"""The API's description, and the page every problem's `type` leads to."""

from __future__ import annotations

import html
import re

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse

from app.api.auth import KeyInProduction
from app.api.errors import DOOR_CODES, status_of
from app.api.openapi import as_outside_production
from app.api.service import TheService
from rowvec import errors as tree

router = APIRouter(include_in_schema=False)

_SWAGGER_POLICY = (
    "default-src 'none'; connect-src 'self'; frame-ancestors 'none'; "
    "script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src data: https://fastapi.tiangolo.com"
)
_LEAF = re.compile(r"[├└]── (\w+) +(.+)")


@router.get("/openapi.json", dependencies=[KeyInProduction])
async def openapi(request: Request, the: TheService) -> JSONResponse:
    document = request.app.openapi()
    return JSONResponse(document if the.is_production else as_outside_production(document))


@router.get("/docs", dependencies=[KeyInProduction])
async def docs(request: Request) -> HTMLResponse:
    page = get_swagger_ui_html(openapi_url="/openapi.json", title=request.app.title)
    page.headers["Content-Security-Policy"] = _SWAGGER_POLICY
    return page


@router.get("/docs/errors")
async def errors() -> HTMLResponse:
    """One paragraph a code, from the table of the HTTP layer and from the machine's tree of errors."""
    told = [(code, status, meaning) for code, (status, meaning) in DOOR_CODES.items()]
    told += [(code, status, meaning) for code, status, meaning in machine_codes()]
    entries = "".join(
        f'<dt id="{code}"><code>{code}</code> ({status})</dt><dd>{html.escape(meaning)}</dd>\n'
        for code, status, meaning in sorted(told)
    )
    return HTMLResponse(
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Errors</title>\n'
        "<h1>Errors</h1>\n<p>Each error answer names one of these codes in <code>code</code>.</p>\n"
        f"<dl>\n{entries}</dl>\n</html>\n"
    )


def machine_codes() -> list[tuple[str, int, str]]:
    """Code, status and meaning of every error of the machine, as the tree at the top of its file tells."""
    meanings = dict(_LEAF.findall(tree.__doc__ or ""))
    found = []
    for name, cls in vars(tree).items():
        if isinstance(cls, type) and issubclass(cls, tree.RowvecError) and cls is not tree.RowvecError:
            found.append((cls.code, status_of(cls), meanings.get(name, "")))
    return found
