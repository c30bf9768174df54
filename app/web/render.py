"""Templates to pages. Everything is escaped, and nothing in a page is a script or a style of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.callers import Caller
from app.web import bar, words
from app.web.statics import static
from rowvec import __version__
from rowvec.api_key import Scope

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # With `no-referrer` browsers would send the origin of our own forms as `null`.
    "Referrer-Policy": "same-origin",
    "Vary": "Accept, Cookie, HX-Request",
}


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {"static": static, "version": __version__, "STATES": words.STATES}
    made.filters |= words.FILTERS | {"parts": bar.parts, "share_done": bar.share_done}
    return made


TEMPLATES = _environment()


def fragment(name: str, caller: Caller | None = None, **context: object) -> str:
    """The HTML of a partial template. Nothing in it may differ between visitors who may see the same."""
    return TEMPLATES.get_template(name).render(_rights(caller) | context)


def page(
    request: Request,
    name: str,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """A whole page, or a piece of one for htmx: beside the context its template knows `caller`,
    `may_write`, `may_admin`, `csrf` and `path`."""
    visit = getattr(request.state, "visit", None)
    caller, csrf = (visit.caller, visit.csrf) if visit else (None, "")
    about = {"caller": caller, "csrf": csrf, "path": request.url.path}
    body = TEMPLATES.get_template(name).render(_rights(caller) | about | context)
    return HTMLResponse(body, status_code, {**HEADERS, **(headers or {})})


def is_htmx(request: Request) -> bool:
    return request.headers.get("HX-Request") == "true"


def gone_to(request: Request, address: str) -> Response:
    """Lead on to another page, whoever asks: a browser, or htmx in it."""
    if is_htmx(request):
        return Response(headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def _rights(caller: Caller | None) -> dict[str, bool]:
    return {
        "may_write": caller is not None and caller.grants.scope.holds(Scope.WRITE),
        "may_admin": caller is not None and caller.grants.scope.holds(Scope.ADMIN),
    }
