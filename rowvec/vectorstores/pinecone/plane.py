"""What the store needs of a data plane; gRPC, REST and the Documents API each give it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rowvec.errors import RequestTooLarge
from rowvec.vectors import Floats, VectorBatch
from rowvec.vectorstores.pinecone.fields import Fields

MOST_REQUEST_BYTES = 2_000_000
"""Pinecone takes 2 MB a request."""
MOST_RECORDS = 1_000
DEADLINE = 30.0
"""Seconds for any one call."""

Filter = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored vector as it is read: its fields, never its values. `score` is a search's."""

    id: str
    fields: Mapping[str, Any]
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Page:
    """`next` continues the list, None at its end. `seen` is the log sequence number up to which this read saw
    the namespace; None where Pinecone does not say."""

    kept: Sequence[Kept]
    next: str | None
    seen: int | None


def require_size(message: bytes) -> bytes:
    """The message itself. Raises RequestTooLarge for one that Pinecone would not take."""
    if len(message) > MOST_REQUEST_BYTES:
        raise RequestTooLarge(
            f"{len(message)} bytes in one request to Pinecone; at most {MOST_REQUEST_BYTES} fit. Send fewer."
        )
    return message


class DataPlane(ABC):
    """Calls of one index, each with its deadline and never repeated.

    Writes give their log sequence number, None where Pinecone does not say. All raise InputRefused,
    RetryLater, PauseNeeded or StoreMismatch. A namespace that is not there is empty.
    """

    fetch_size: ClassVar[int]
    """Ids of one fetch."""
    widths: ClassVar[tuple[int, int]]
    """Bytes in an upsert of one number of a vector, and of one byte of text, at most."""

    @abstractmethod
    async def upsert(self, namespace: str, batch: VectorBatch, fields: Iterable[Fields]) -> int | None:
        """Write the batch; all of it is durable on return."""

    @abstractmethod
    async def fetch(self, namespace: str, ids: Sequence[str]) -> Page:
        """At most `fetch_size` ids; those that are not there are left out."""

    @abstractmethod
    async def matching(self, namespace: str, wanted: Filter, limit: int, token: str) -> Page:
        """A page of what the filter matches."""

    @abstractmethod
    async def listed(self, namespace: str, prefix: str, token: str) -> tuple[list[str], str | None]:
        """A page of ids with this prefix, and what continues it."""

    @abstractmethod
    async def delete(self, namespace: str, ids: Sequence[str]) -> int | None:
        """At most MOST_RECORDS ids."""

    @abstractmethod
    async def delete_matching(self, namespace: str, name: str, value: str) -> tuple[int, int | None]:
        """Delete where this field has this value; how many there were, and the log sequence number."""

    @abstractmethod
    async def nearest(self, namespace: str, vector: Floats, limit: int, fields: bool = True) -> Page:
        """The nearest first; without `fields` only their ids and scores."""

    @abstractmethod
    async def counts(self) -> Mapping[str, int]:
        """Vectors of each namespace. Pinecone counts them some time after they were written."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections."""
