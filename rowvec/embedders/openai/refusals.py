"""What an answer that is no answer means for the work: the one place where OpenAI's errors are translated.

400, 413, 422  max_tokens_per_request, body too large     RequestTooLarge: halve
               about model, dimensions or encoding        TaskFailed
               all else                                   InputRefused: find the text, reject its row
401, 403       key, address, region                       CredentialsRefused: pause
402, 429       insufficient_quota and its kind            QuotaExhausted: pause
404            no such model                              TaskFailed
429            Request too large                          RequestTooLarge: no waiting helps
               all else; 503 slow_down, too               RateLimited: everyone waits
408, 409, 5xx                                             Unavailable: try again
all else       no server that speaks this language        PauseNeeded
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from rowvec.embedders.openai.headers import reset_after, retry_after
from rowvec.errors import (
    CredentialsRefused,
    InputRefused,
    PauseNeeded,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    RowvecError,
    TaskFailed,
    Unavailable,
)

BILLING = frozenset(
    {
        "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
    }
)  # fmt: skip
SHAPE = ("model", "dimensions", "encoding_format")
LONGEST_MESSAGE = 400

_ABOUT_SHAPE = re.compile(r"'\$\.(model|dimensions|encoding_format)'|specifying dimensions")
_KEYS = re.compile(r"\bsk-[\w*.-]{4,}|\bBearer \S+")


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _Body(msgspec.Struct):
    error: _Error | str | None = None
    message: str | None = None
    detail: str | None = None


def refusal(status: int, headers: Mapping[str, str], body: bytes, who: str, key: str = "") -> RowvecError:
    """The error to raise for an answer of `who` that is not 200. Its message never holds the key."""
    error = _read(body)
    said = _said(error, body, key)
    if status in (401, 403):
        return CredentialsRefused(
            f"{who} refuses OPENAI_API_KEY ({status}){said}. Check the key, then resume."
        )
    if status == 402 or (status == 429 and _is_billing(error)):
        return QuotaExhausted(f"{who} asks for payment{said}. Top the account up, then resume.")
    if status == 404:
        return TaskFailed(
            f"{who} has no such model or address (404){said}. Check OPENAI_MODEL, OPENAI_BASE_URL."
        )
    if status == 429 or (status == 503 and error.code == "slow_down"):
        return _too_fast(headers, error, f"{who} is asked too much{said}")
    if status in (400, 413, 422):
        return _refused(status, error, f"{who} refuses it{said}")
    if status in (408, 409, 425) or status >= 500:
        return Unavailable(f"{who} answers {status}{said}", retry_after(headers))
    return PauseNeeded(f"{who} answers {status}{said}. Check OPENAI_BASE_URL, then resume.")


def _is_billing(error: _Error) -> bool:
    return error.type in BILLING or error.code in BILLING


def _too_fast(headers: Mapping[str, str], error: _Error, message: str) -> RowvecError:
    if (error.message or "").startswith("Request too large"):
        return RequestTooLarge(message)
    wait = retry_after(headers)
    return RateLimited(message, reset_after(headers, error.type) if wait is None else wait)


def _refused(status: int, error: _Error, message: str) -> RowvecError:
    if status == 413 or "max_tokens_per_request" in (error.code, error.type):
        return RequestTooLarge(message)
    if error.param in SHAPE or _ABOUT_SHAPE.search(error.message or ""):
        return TaskFailed(f"{message}. Check OPENAI_MODEL and OPENAI_DIMENSIONS.")
    return InputRefused(message)


def _read(body: bytes) -> _Error:
    """The error object, or what other servers say in its place; empty where they say nothing."""
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Error()
    if isinstance(found.error, _Error):
        return found.error
    return _Error(found.error or found.message or found.detail)


def _said(error: _Error, body: bytes, key: str) -> str:
    """What the provider says, short enough for a person and without a key."""
    text = error.message or (
        "" if body.lstrip()[:1] in (b"{", b"<") else body[:1000].decode("utf-8", "replace")
    )
    if key:
        text = text.replace(key, "…")
    text = " ".join(_KEYS.sub("…", text).split()).rstrip(".")
    return f": {text[:LONGEST_MESSAGE]}" if text else ""
