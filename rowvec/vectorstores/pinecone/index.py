"""The index as Pinecone's control plane describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from rowvec.errors import StoreMismatch, Unavailable
from rowvec.vectorstores.pinecone.errors import NotThere
from rowvec.vectorstores.pinecone.fields import OWNER, TASK, Schema
from rowvec.vectorstores.pinecone.http import Http

CONTROL_VERSION = "2026-07"
"""The version that tells a document index from one of the vectors API."""
CONTROLLER = "https://api.pinecone.io"
_VALUES = "_values"
"""Where a described index of the vectors API has its vectors."""


class _Status(msgspec.Struct):
    ready: bool = True
    state: str = ""


class _Schema(msgspec.Struct):
    fields: dict[str, dict[str, Any]] = {}


class _Described(msgspec.Struct):
    """Newer versions have `schema`, older ones `dimension` and `metric`."""

    name: str
    host: str | None = None
    status: _Status = msgspec.field(default_factory=_Status)
    schema: _Schema | None = None
    dimension: int | None = None
    metric: str | None = None
    spec: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Index:
    """`field` holds the vectors of a document index; None: the index speaks the vectors API.

    `filters` says whether vectors can be found by our own fields.
    """

    name: str
    host: str
    dimension: int
    metric: str
    field: str | None
    schema: Schema
    filters: bool

    def require(self, dimension: int) -> None:
        """Raises StoreMismatch, in words, when the vectors do not fit."""
        if self.dimension != dimension:
            raise StoreMismatch(
                f"The Pinecone index '{self.name}' holds vectors of {self.dimension} dimensions, these have "
                f"{dimension}. Use an index of {dimension}, or the embedder it was made for."
            )
        if self.metric != "cosine":
            raise StoreMismatch(
                f"The Pinecone index '{self.name}' compares by {self.metric}, rows are searched by cosine. "
                "Use an index with the metric cosine."
            )


async def described(control: Http, name: str, host: str) -> Index:
    """The index. `host` goes before the address Pinecone gives.

    Raises StoreMismatch for one that is not there or cannot hold rows, RetryLater or PauseNeeded.
    """
    try:
        reply = await control.get(f"describing the index '{name}'", f"/indexes/{quote(name, safe='')}")
    except NotThere as error:
        raise StoreMismatch(
            f"There is no Pinecone index '{name}' in this key's project. Make it, or name another one in "
            "VECTOR_STORE_URL."
        ) from error
    found = reply.read(_Described)
    if not found.status.ready:
        raise Unavailable(f"The Pinecone index '{name}' is not ready yet: {found.status.state}.", 5.0)
    address = host or found.host or ""
    return _index(found, address if "://" in address else f"https://{address}")


def _index(found: _Described, host: str) -> Index:
    if found.schema is None:
        metadata = found.spec.get("serverless", {}).get("schema", {}).get("fields", {})
        return _of_vectors(found.name, host, {"dimension": found.dimension, "metric": found.metric}, metadata)
    fields = found.schema.fields
    if _VALUES in fields:
        metadata = {name: spec for name, spec in fields.items() if spec.get("filterable")}
        return _of_vectors(found.name, host, fields[_VALUES], metadata)
    return _of_documents(found.name, host, fields)


def _of_vectors(name: str, host: str, vectors: Mapping[str, Any], metadata: Mapping[str, Any]) -> Index:
    """`metadata` are the only fields that filters see; none: they see all."""
    filters = not metadata or {TASK, OWNER} <= metadata.keys()
    return Index(name, host, *_shape(name, vectors), None, Schema(), filters)


def _of_documents(name: str, host: str, fields: Mapping[str, Mapping[str, Any]]) -> Index:
    dense = [field for field, spec in fields.items() if spec.get("type") == "dense_vector"]
    embedded = [
        field for field, spec in fields.items() if spec.get("embed") or spec.get("type") == "semantic_text"
    ]
    if len(dense) != 1 or embedded:
        raise StoreMismatch(
            f"The Pinecone index '{name}' has {len(dense)} dense vector fields"
            + (f", and embeds the text of '{embedded[0]}' by itself" if embedded else "")
            + ". Rows need an index with one dense vector field."
        )
    vectors = {
        field for field, spec in fields.items() if spec.get("type") in ("dense_vector", "sparse_vector")
    }
    texts = {field for field, spec in fields.items() if spec.get("type") == "string"}
    schema = Schema(frozenset(vectors), frozenset(texts))
    return Index(name, host, *_shape(name, fields[dense[0]]), dense[0], schema, filters=True)


def _shape(name: str, vectors: Mapping[str, Any]) -> tuple[int, str]:
    dimension, metric = vectors.get("dimension"), vectors.get("metric")
    if not isinstance(dimension, int) or not isinstance(metric, str):
        raise StoreMismatch(f"The Pinecone index '{name}' holds no dense vectors. Use one that does.")
    return dimension, metric
