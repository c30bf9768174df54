"""What the routes' declarations leave out of the API's description: problems, and who may see it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api.errors import MEDIA_TYPE

_MEANINGS = {
    400: "The request cannot be read.",
    401: "No API key, or one that opens nothing.",
    403: "The API key does not allow it, or a path leaves the folder it must stay in.",
    404: "There is no such thing.",
    409: "The state of things does not allow it.",
    413: "The body is too large.",
    415: "The body's Content-Type is not taken here.",
    422: "A field is missing, unknown or wrong.",
    429: "Too much of this is being done, or the key has used what it may; try again after Retry-After.",
    501: "This service was set up without that part.",
    503: "A part does not answer now; try again.",
    507: "The disk is nearly full.",
}

_PAGES = ("/metrics",)
"""Described ones that need a key in production only."""

_PROBLEM = {
    "title": "Problem",
    "description": "RFC 9457. `type` leads to the page that explains `code`.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


_OF_A_TASK = (
    *("getStatus", "cancelTask", "pauseTask", "resumeTask", "retryTask", "verifyTask", "deleteVectors"),
    *("listChunks", "downloadRejected", "groupRejected"),
)


def leads_to_the_task() -> dict[str, Any]:
    """The `links` of an answer whose `task_id` the operations on a task take."""
    parameters = {"task_id": "$response.body#/task_id"}
    return {name: {"operationId": name, "parameters": parameters} for name in _OF_A_TASK}


def refuses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def refuses_by_name(*statuses: int) -> dict[str, Any]:
    """As they stand in the document itself."""
    return {str(status): told for status, told in refuses(*statuses).items()}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = _PROBLEM
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path in document["paths"].values():
            for operation in path.values():
                _without_framework_errors(operation["responses"])
                if "security" in operation:
                    operation["responses"] = refuses_by_name(403, 429) | operation["responses"]
        app.openapi_schema = document
    return app.openapi_schema


def as_outside_production(document: dict[str, Any]) -> dict[str, Any]:
    """The same document of a service that shows its pages for building to everybody."""
    shown = {
        path: {method: _keyless(told) for method, told in document["paths"][path].items()} for path in _PAGES
    }
    return document | {"paths": document["paths"] | shown}


def _keyless(operation: dict[str, Any]) -> dict[str, Any]:
    return {name: told for name, told in operation.items() if name != "security"}


def _without_framework_errors(responses: dict[str, Any]) -> None:
    """The framework announces its own form of 422 wherever there is a parameter; ours are problems."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        responses["422"] = refuses(422)[422]
