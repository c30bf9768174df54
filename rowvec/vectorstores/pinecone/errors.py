"""The one place where Pinecone's errors become the machine's.

400, 413, 422  InputRefused (halve and find the row); StoreMismatch for a wrong dimension, or where the
               request was refused before it came to the index
401, 403       CredentialsRefused; a 403 for a quota: QuotaExhausted
402            QuotaExhausted
404, 409, 412  StoreMismatch: no such index, a namespace that is an alias
429            RateLimited; monthly units used up: QuotaExhausted
5xx, time-outs, cut replies  Unavailable
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import grpc
import msgspec

from rowvec.errors import (
    CredentialsRefused,
    InputRefused,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    RowvecError,
    StoreMismatch,
    Unavailable,
)

_DIMENSION = re.compile(r"dimension \d+ does not match", re.IGNORECASE)
_QUOTA = re.compile(r"quota|upgrade your plan|max \w+( \w+)* allowed|delete records or", re.IGNORECASE)
_MONTHLY = re.compile(r"current month|monthly", re.IGNORECASE)
_TOO_LARGE = re.compile(r"length too large|larger than max|too large", re.IGNORECASE)
_HTTP_STATUS = re.compile(r"status:? (\d{3})")
_LONGEST = 300

_STATUSES: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNIMPLEMENTED: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class NotThere(StoreMismatch):
    """A namespace, or the index, that does not exist."""


def of_http(doing: str, status: int, headers: Mapping[str, str], body: bytes) -> RowvecError:
    """The meaning of a reply that is no success. `doing` says what was asked, in the caller's words."""
    message, structured = _message(body)
    return _meaning(doing, status, message, structured, headers)


def of_grpc(doing: str, error: grpc.aio.AioRpcError) -> RowvecError:
    """The meaning of a failed call."""
    message = str(error.details() or "")
    headers = {str(key): str(value) for key, value in error.trailing_metadata() or ()}
    behind = _HTTP_STATUS.search(message) if "http2 header" in message else None
    if behind:
        return _meaning(doing, int(behind[1]), message, False, headers)
    status = _STATUSES.get(error.code(), 503)
    if status == 429 and _TOO_LARGE.search(message):
        status = 413
    return _meaning(doing, status, message or error.code().name, True, headers)


def no_answer(doing: str, reason: object) -> Unavailable:
    """The connection failed, the answer was cut, or it took too long."""
    return Unavailable(f"Pinecone did not answer when {doing}: {reason or 'the connection was lost'}")


def _message(body: bytes) -> tuple[str, bool]:
    """What an error's body says, and whether it came from the index: what stands before that answers in
    plain text."""
    try:
        document: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace").strip(), False
    if not isinstance(document, dict):
        return str(document), False
    inner = document.get("error")
    found = inner.get("message") if isinstance(inner, dict) else document.get("message")
    return str(found or document), True


def _meaning(
    doing: str, status: int, message: str, structured: bool, headers: Mapping[str, str]
) -> RowvecError:
    said = f"Pinecone, when {doing}: {message[:_LONGEST] or status}"
    if status in (400, 413, 422):
        return _refused(said, status, message, structured)
    if status == 401:
        return CredentialsRefused(
            f"{said}. Set PINECONE_API_KEY to a key of the index's project, then resume."
        )
    if status == 402 or (status == 412 and "past due" in message):
        return QuotaExhausted(f"{said}. Settle it with Pinecone, then resume.")
    if status == 403:
        if _QUOTA.search(message):
            return QuotaExhausted(f"{said}. Make room or upgrade the plan, then resume.")
        return CredentialsRefused(f"{said}. Give the key the permission, then resume.")
    if status == 404:
        return NotThere(f"{said}. Look at VECTOR_STORE_URL, PINECONE_HOST and PINECONE_TRANSPORT.")
    if status in (409, 412):
        return StoreMismatch(f"{said}. Use another namespace.")
    if status == 429:
        if _MONTHLY.search(message):
            return QuotaExhausted(f"{said}. Upgrade the plan or wait for the next month, then resume.")
        return RateLimited(said, _seconds(headers))
    return Unavailable(said, _seconds(headers))


def _refused(said: str, status: int, message: str, structured: bool) -> RowvecError:
    if _DIMENSION.search(message):
        return StoreMismatch(f"{said}. Use an index of the embedder's dimension.")
    if status == 413 or _TOO_LARGE.search(message):
        return RequestTooLarge(said)
    if status == 400 and not structured:
        return StoreMismatch(f"{said}. It was refused before it came to the index.")
    return InputRefused(said)


def _seconds(headers: Mapping[str, str]) -> float | None:
    """How long Pinecone asks to wait."""
    for name, unit in (("grpc-retry-pushback-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 3600:
            return seconds
    return None
