"""What Pinecone says no with, as each of its doors says it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec

from standins.web import Answer

JSON = {"content-type": "application/json"}
PLAIN = {"content-type": "text/plain"}


class Code(Enum):
    """The gRPC status codes that are used here."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Refused(Exception):
    """`status` is HTTP's. With `plain` the body is bare text: it never came as far as the index."""

    def __init__(
        self,
        code: Code,
        status: int,
        message: str,
        plain: bool = False,
        headers: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.plain = plain
        self.headers = dict(headers or {})
        self.name = name or code.name

    def of_vectors(self) -> Answer:
        """As the vectors API answers over REST."""
        document: dict[str, object] = {"code": self.code.value, "message": self.message, "details": []}
        return self._answer(document)

    def of_documents(self) -> Answer:
        """As the Documents API and the control plane answer."""
        document: dict[str, object] = {
            "error": {"code": self.name, "message": self.message},
            "status": self.status,
        }
        return self._answer(document)

    def _answer(self, document: Mapping[str, object]) -> Answer:
        if self.plain:
            return Answer(self.status, [self.message.encode()], PLAIN | self.headers)
        return Answer(self.status, [msgspec.json.encode(document)], JSON | self.headers)


def invalid(message: str) -> Refused:
    return Refused(Code.INVALID_ARGUMENT, 400, message)


def not_found(message: str) -> Refused:
    return Refused(Code.NOT_FOUND, 404, message)


def too_large(size: int, limit: int) -> Refused:
    message = f"Error, message length too large: found {size} bytes, the limit is: {limit} bytes"
    return Refused(Code.OUT_OF_RANGE, 400, message)


def unauthorized() -> Refused:
    return Refused(Code.UNAUTHENTICATED, 401, "Unauthorized", plain=True)


def forbidden() -> Refused:
    return Refused(Code.PERMISSION_DENIED, 403, "Forbidden: the API key lacks this permission", plain=True)


def payment_due() -> Refused:
    message = "Request failed. Pay all past due invoices to lift restrictions on your account."
    return Refused(Code.FAILED_PRECONDITION, 402, message, name="PAYMENT_REQUIRED")


def storage_full() -> Refused:
    message = (
        "Request failed. You've reached the max storage allowed for project standin. "
        "To update or upsert new data, delete records or upgrade your plan."
    )
    return Refused(Code.PERMISSION_DENIED, 403, message, name="FORBIDDEN")


def units_used(kind: str) -> Refused:
    message = (
        f"Request failed. You've reached your {kind} unit limit for the current month (2000000). "
        f"To continue {'writing' if kind == 'write' else 'reading'} data, upgrade your plan."
    )
    return Refused(Code.RESOURCE_EXHAUSTED, 429, message)


def too_fast(what: str, scope: str, wait: float) -> Refused:
    message = (
        f"Request failed. You've reached the max {what} per second for {scope}. "
        f"Pace your requests or contact Pinecone Support to request a higher limit."
    )
    return Refused(Code.RESOURCE_EXHAUSTED, 429, message, headers={"retry-after": f"{wait:.3f}"})


def unavailable() -> Refused:
    return Refused(Code.UNAVAILABLE, 503, "The service is currently unavailable.", name="SERVICE_UNAVAILABLE")


def internal() -> Refused:
    return Refused(Code.INTERNAL, 500, "Internal server error", name="UNKNOWN")
