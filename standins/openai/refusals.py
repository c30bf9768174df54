"""What OpenAI says when it says no: status, headers and body, as its reference and its users tell them."""

from __future__ import annotations

import math

import msgspec

from standins.desk import JSON
from standins.web import Answer


class Refused(Exception):
    """The request is refused; `answer` is what the caller gets."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def refusal(
    status: int, message: str, kind: str, code: str | None, headers: dict[str, str] | None = None
) -> Refused:
    """`error: {message, type, param, code}`."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return Refused(Answer(status, [msgspec.json.encode({"error": error})], JSON | (headers or {})))


def invalid(message: str, code: str | None = None, status: int = 400) -> Refused:
    return refusal(status, message, "invalid_request_error", code)


def no_key() -> Refused:
    return invalid(
        "You didn't provide an API key. You need to provide your API key in an Authorization header using "
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) "
        "if you're accessing the API from your browser and are prompted for a username and password. "
        "You can obtain an API key from https://platform.openai.com/account/api-keys.",
        status=401,
    )


def wrong_key(key: str) -> Refused:
    """OpenAI shows a part of the key, the stand-in all of it: a caller who passes it on is found out."""
    return invalid(
        f"Incorrect API key provided: {key}. "
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        "invalid_api_key",
        401,
    )


def no_such_path(method: str, path: str) -> Refused:
    return invalid(f"Invalid URL ({method} {path})", status=404)


def no_such_model(name: str) -> Refused:
    return invalid(
        f"The model `{name}` does not exist or you do not have access to it.", "model_not_found", 404
    )


def bad_json() -> Refused:
    return invalid(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
        "HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid "
        "JSON.)"
    )


def bad_field(name: str) -> Refused:
    return invalid(
        f"'$.{name}' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    )


def no_dimensions() -> Refused:
    return invalid("This model does not support specifying dimensions.")


def too_long(tokens: int, most: int) -> Refused:
    return invalid(
        f"This model's maximum context length is {most} tokens, however you requested {tokens} tokens "
        f"({tokens} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
    )


def too_many_tokens(tokens: int, most: int) -> Refused:
    kind = "max_tokens_per_request"
    return refusal(400, f"Requested {tokens} tokens, max {most} tokens per request", kind, kind)


def too_fast(model: str, kind: str, limit: int, asked: int, seconds: float) -> Refused:
    """A 429 of the rate `kind`, `requests` or `tokens`; infinite seconds where no waiting would help."""
    unit = "TPM" if kind == "tokens" else "RPM"
    where = f"for {model} in organization org-standin on {kind} per min ({unit}): Limit {limit}"
    if math.isinf(seconds):
        message = (
            f"Request too large {where}, Requested {asked}. "
            "The input or output tokens must be reduced in order to run successfully."
        )
        return refusal(429, message, kind, "rate_limit_exceeded")
    milliseconds = max(1, math.ceil(seconds * 1000))
    message = f"Rate limit reached {where}, Requested {asked}. Please try again in {milliseconds}ms."
    headers = {"retry-after-ms": str(milliseconds), "retry-after": str(math.ceil(milliseconds / 1000))}
    return refusal(429, message, kind, "rate_limit_exceeded", headers)


def not_paid(code: str) -> Refused:
    """A 429 of the billing kind."""
    kind = code if code == "insufficient_quota" else "invalid_request_error"
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more information "
        "on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
    )
    return refusal(429, message, kind, code, {"x-should-retry": "false"})


def broken(status: int) -> Refused:
    message = "The server had an error while processing your request. Sorry about that!"
    return refusal(status, message, "server_error", None)
