"""What the JSON doors of a data plane share."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from standins.pinecone.doors import lsn_headers
from standins.pinecone.index import Found, Index
from standins.pinecone.refusals import JSON, invalid
from standins.pinecone.weather import Call, Cut, Weather
from standins.web import Answer, Request

CUT = b'{"cut": "this document breaks off'


@dataclass(frozen=True, slots=True)
class Reply:
    """`lsn` is a write's log sequence number (`written`), or how far a read has seen; None to say nothing."""

    document: Mapping[str, Any]
    lsn: int | None = None
    written: bool = False
    status: int = 200


@dataclass(frozen=True, slots=True)
class JsonDoor:
    index: Index
    weather: Weather

    async def answered(self, replying: Awaitable[Reply]) -> Answer:
        """The reply with its headers, or the half of it that arrives."""
        try:
            reply = await replying
        except Cut:
            return Answer(200, [CUT], JSON, sent=0.5)
        headers = JSON | lsn_headers(self.index.settings, reply.lsn, reply.written)
        return Answer(reply.status, [msgspec.json.encode(reply.document)], headers)

    def call(
        self, operation: str, request: Request, namespace: str, records: int = 0, by_filter: bool = False
    ) -> Call:
        key = request.headers.get("api-key", "")
        return Call(operation, key, self.index.spec.name, namespace, records, len(request.body), by_filter)


def body_of(request: Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise invalid(f"The body is no JSON object: {error}") from error


def floats(values: Any) -> bytes:
    """Numbers as float32 bytes; nothing for what is no list."""
    if not isinstance(values, list):
        return b""
    try:
        return np.asarray(values, np.float32).tobytes()
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid("Vector values must be numbers.") from error


def values_of(one: Found) -> list[float]:
    values: list[float] = np.frombuffer(one.vector, np.float32).tolist()
    return values
