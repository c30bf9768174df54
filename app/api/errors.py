"""Every refusal as an RFC 9457 problem: one table from error to status, one page that explains them."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.api.headers import SECURITY_HEADERS
from rowvec import errors as tree
from rowvec.errors import InvalidRequest, LimitReached, RetryLater, RowvecError
from rowvec.redaction import Redactor

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20

Handler = Callable[[Request, Exception], Awaitable[Response]]

STATUSES: dict[type[RowvecError], int] = {
    RowvecError: 500,
    tree.RetryLater: 503,
    tree.PauseNeeded: 503,
    tree.DiskLow: 507,
    tree.InputRefused: 422,
    tree.TaskFailed: 422,
    tree.SourceChanged: 409,
    tree.StoreMismatch: 409,
    tree.RequestRefused: 422,
    tree.SourceNotFound: 404,
    tree.SourceForbidden: 403,
    # 501 and not 503: waiting does not help, this service was set up without that part.
    tree.NotConfigured: 501,
    tree.UnknownTask: 404,
    tree.UnknownKey: 404,
    tree.WrongState: 409,
    tree.NamespaceTaken: 409,
    tree.NotAllowed: 403,
    tree.LimitReached: 429,
}
"""Status by class; a class that is not listed takes its nearest ancestor's."""

DOOR_CODES: dict[str, tuple[int, str]] = {
    "bad-request": (400, "the request cannot be read"),
    "unauthorized": (401, "no API key was sent, or it opens nothing"),
    "mistyped-key": (401, "the key's checksum does not match: a character is wrong or missing"),
    "foreign-form": (403, "a form was not sent from a page of this service, or belongs to another session"),
    "not-found": (404, "there is nothing under this path"),
    "method-not-allowed": (405, "this path knows other methods; the Allow header lists them"),
    "body-too-large": (413, "the body is larger than this path takes"),
    "unsupported-media-type": (415, "the body's Content-Type is not one this path takes"),
    "validation-failed": (422, "a field is missing, unknown or wrong; `errors` names each"),
    "busy": (
        429,
        "one process does one thing of this kind at a time; Retry-After says when to ask again",
    ),
    "http-error": (500, "any other refusal of the HTTP layer"),
    "internal-error": (500, "a fault of the service; it was logged under the request's id"),
}
_CODE_OF_STATUS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}


class DoorRefusal(HTTPException):
    """A refusal of the HTTP layer itself. `code` is a key of DOOR_CODES."""

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(DOOR_CODES[code][0], detail, headers)
        self.code = code


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer to a refused request. Its bytes are ASCII, whatever the message holds."""
    redact = _redactor(request)
    body: dict[str, object] = {
        "type": f"/docs/errors#{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": redact(detail),
        "code": code,
        "instance": f"urn:uuid:{request.state.request_id}",
    }
    if errors:
        body["errors"] = [{name: redact(words) for name, words in one.items()} for one in errors]
    return Response(
        json.dumps(body), status, headers={**SECURITY_HEADERS, **(headers or {})}, media_type=MEDIA_TYPE
    )


def _redactor(request: Request) -> Redactor:
    """Of the machine; before there is one nothing of it can be told."""
    service = getattr(request.app.state, "service", None)
    found: Redactor = service.machine.redact if service else Redactor()
    return found


def status_of(error: type[RowvecError]) -> int:
    return next(STATUSES[cls] for cls in error.__mro__ if cls in STATUSES)


async def on_rowvec(request: Request, raised: Exception) -> Response:
    error = cast(RowvecError, raised)
    status = status_of(type(error))
    if status == 500:
        return await on_anything(request, error)
    headers = {}
    if isinstance(error, RetryLater | LimitReached):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or 1)))
    field = error.field if isinstance(error, InvalidRequest) else None
    errors = [{"field": field, "message": error.message}] if field else []
    return problem(request, status, error.code, error.message, errors, headers)


async def on_http(request: Request, raised: Exception) -> Response:
    error = cast(HTTPException, raised)
    code = (
        error.code if isinstance(error, DoorRefusal) else _CODE_OF_STATUS.get(error.status_code, "http-error")
    )
    detail = error.detail
    if error.status_code in (404, 405) and not isinstance(error, DoorRefusal):
        detail = f"{request.method} {request.url.path[:200]}: {DOOR_CODES[code][1]}."
    headers = _all_methods(request, error.headers) if error.status_code == 405 else error.headers
    return problem(request, error.status_code, code, detail, headers=headers)


def _all_methods(request: Request, headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """The framework names the methods of the first route of a path only."""
    methods = request.app.openapi()["paths"].get(request.url.path)
    return {"Allow": ", ".join(sorted(map(str.upper, methods)))} if methods else headers


async def on_validation(request: Request, raised: Exception) -> Response:
    found = [_field_error(one) for one in cast(RequestValidationError, raised).errors()[:MOST_ERRORS]]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in found)
    return problem(request, 422, "validation-failed", detail, found)


def _field_error(error: Mapping[str, object]) -> dict[str, str]:
    """Field and message only: the input itself is never repeated."""
    where = error["loc"]
    steps = [str(step) for step in where] if isinstance(where, tuple) else []
    if error["type"] == "json_invalid":
        return {"field": "body", "message": f"is not JSON; reading failed at character {steps[-1]}"}
    if steps == ["body"] and error["type"] != "missing":
        message = "must be a JSON object, sent with the header Content-Type: application/json"
        return {"field": "body", "message": message}
    return {"field": ".".join(steps[1:] or steps)[:200], "message": str(error["msg"])[:500]}


async def on_disconnect(request: Request, _error: Exception) -> Response:
    """Nobody hears this answer; it only keeps a caller who left from counting as our fault."""
    return problem(request, 400, "bad-request", "The connection was closed before the body had ended.")


async def on_anything(request: Request, error: Exception) -> Response:
    structlog.get_logger("app.api").error(
        "request_failed", request_id=request.state.request_id, exc_info=error
    )
    detail = (
        "The service failed to answer. It was logged under the id in `instance`; nothing of it is shown here."
    )
    headers = {"X-Request-ID": request.state.request_id}
    return problem(request, 500, "internal-error", detail, headers=headers)


HANDLERS: Mapping[type[Exception], Handler] = {
    RowvecError: on_rowvec,
    RequestValidationError: on_validation,
    HTTPException: on_http,
    ClientDisconnect: on_disconnect,
    Exception: on_anything,
}
"""Who answers for which error."""


def install(app: FastAPI, adapt: Callable[[Handler], Handler] = lambda handler: handler) -> None:
    """`adapt` may give answers another form where nobody asked for a problem."""
    for error, handler in HANDLERS.items():
        app.add_exception_handler(error, adapt(handler))
