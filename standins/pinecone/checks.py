"""What Pinecone checks of a record before it takes any of its request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from standins.pinecone.refusals import invalid, too_large

MOST_RECORDS = 1_000
MOST_BYTES = 2 * 2**20
MOST_METADATA = 40 * 2**10
LONGEST_ID = 512
LEAST_MAGNITUDE = 1e-8

_JSON = msgspec.json.Encoder(order="sorted")
Vectors = NDArray[np.float32]


def size(found: int) -> None:
    if found > MOST_BYTES:
        raise too_large(found, MOST_BYTES)


def count(found: int, what: str) -> None:
    if not 1 <= found <= MOST_RECORDS:
        raise invalid(f"A request takes 1 to {MOST_RECORDS} {what}, this one has {found}.")


def ids(found: Sequence[Any]) -> None:
    """Every id, and none twice."""
    for id_ in found:
        if not isinstance(id_, str) or not 1 <= len(id_) <= LONGEST_ID:
            raise invalid(f"Vector ID must be a string of 1 to {LONGEST_ID} characters, got {id_!r:.60}")
        if not id_.isascii() or "\0" in id_:
            raise invalid(f"Vector ID must be ASCII without NUL, but got '{id_}'")


def vectors(ids_: Sequence[str], values: Sequence[bytes | memoryview], dimension: int) -> Vectors:
    """The float32 matrix of these vectors."""
    for raw in values:
        if len(raw) != 4 * dimension:
            raise invalid(
                f"Vector dimension {len(raw) // 4} does not match the dimension of the index {dimension}"
            )
    matrix = np.frombuffer(b"".join(values), np.dtype("<f4")).reshape(len(values), dimension)
    peaks = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    if not np.isfinite(peaks).all():
        raise invalid("Vector values must be finite numbers.")
    if (peaks < LEAST_MAGNITUDE).any():
        raise invalid(
            "Dense vectors must contain at least one non-zero value. Vector ID "
            f"'{ids_[int(np.argmin(peaks))]}' contains only zeros"
        )
    return matrix


def metadata(fields: Mapping[str, Any], forbidden: str = "$", most: int = MOST_METADATA) -> bytes:
    """As canonical JSON, every number a float64. `forbidden`: no name begins with one of these."""
    kept = {name: _value(name, value, forbidden) for name, value in fields.items()}
    raw = _JSON.encode(kept)
    if len(raw) > most:
        raise invalid(
            f"Metadata size is {len(raw)} bytes, which exceeds the limit of {most} bytes per vector"
        )
    return raw


def _value(name: str, value: Any, forbidden: str) -> Any:
    if name[:1] in forbidden and name:
        raise invalid(f"Field name '{name}' must not begin with '{name[0]}'")
    kind = type(value)
    if kind is str or kind is bool:
        return value
    if kind is float or kind is int:
        number = float(value)
        if math.isfinite(number):
            return number
    if kind is list and all(type(item) is str for item in value):
        return value
    shown = "null" if value is None else str(value)[:20]
    raise invalid(
        "Metadata value must be a string, number, boolean or list of strings, "
        f"got '{shown}' for field '{name}'"
    )
