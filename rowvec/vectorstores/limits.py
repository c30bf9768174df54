"""What every vector store checks before it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rowvec.errors import InputRefused, InvalidRequest, StoreMismatch
from rowvec.vectors import VectorBatch
from rowvec.vectorstores.base import VectorStore

_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def require_namespace(namespace: str) -> str:
    """The namespace itself. Raises InvalidRequest when it is not one."""
    if not _NAMESPACE.fullmatch(namespace):
        raise InvalidRequest(
            f"'{namespace[:200]}' is no namespace: 1 to 128 of the characters A-Z a-z 0-9 _ . - "
            "and a letter or digit first.",
            field="namespace",
        )
    return namespace


def require_dimension(namespace: str, held: int, given: int) -> None:
    """Raises StoreMismatch, in words, when the two are not the same."""
    if held != given:
        raise StoreMismatch(
            f"The namespace '{namespace}' holds vectors of {held} dimensions, these have {given}. "
            "Use another namespace, or the embedder it was filled with."
        )


def require_fit(store: VectorStore, batch: VectorBatch) -> list[str]:
    """The metadata of each vector as JSON. Raises InputRefused when the store would not take the batch.

    A batch is refused before any of it is written, so that the caller can halve it and find the row.
    """
    if len(batch) > store.max_batch:
        raise InputRefused(f"{len(batch)} vectors in one upsert; at most {store.max_batch} fit. Send fewer.")
    finite = np.isfinite(batch.vectors).all(axis=1)
    if not finite.all():
        bad = batch.ids[int(np.argmin(finite))]
        raise InputRefused(f"The vector of '{bad}' holds NaN or infinity; embed its row again.")
    metadata = list(_each_as_json(batch))
    _require_sizes(store, batch, metadata)
    return metadata


def _each_as_json(batch: VectorBatch) -> Iterator[str]:
    """Passages of one row follow each other and share their metadata, which is encoded and held once."""
    last: Mapping[str, Any] | None = None
    text = ""
    for id_, fields in zip(batch.ids, batch.metadata, strict=True):
        if fields is not last:
            last, text = fields, _as_json(id_, fields)
        yield text


def _as_json(id_: str, fields: Mapping[str, Any]) -> str:
    try:
        return _JSON.encode(fields)
    except (TypeError, ValueError) as error:
        raise InputRefused(f"The metadata of '{id_}' is no JSON: {error}.") from error


def _require_sizes(store: VectorStore, batch: VectorBatch, metadata: Sequence[str]) -> None:
    total = batch.vectors.nbytes
    for id_, text, fields in zip(batch.ids, batch.texts, metadata, strict=True):
        size = _bytes_of(id_, fields)
        if size > store.max_metadata_bytes:
            raise InputRefused(
                f"The metadata of '{id_}' takes {size} bytes; at most {store.max_metadata_bytes} fit."
            )
        total += size + _bytes_of(id_, text)
    if total > store.max_batch_bytes:
        raise InputRefused(f"{total} bytes in one upsert; at most {store.max_batch_bytes} fit. Send fewer.")


def _bytes_of(id_: str, text: str) -> int:
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as error:
        raise InputRefused(f"The row of '{id_[:200]!r}' holds a half of a character: {error}.") from error
