"""A vector as JSON, as short as float32 allows."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from rowvec.vectors import Floats

MOST_BYTES = 16
"""Bytes of one number and its comma, at most, if it is 0 or from 1e-14 to 1e9."""
_DIGITS = 9
"""So many decimal digits give every float32 back (IEEE 754)."""
_LARGEST_EXACT_POWER = 22


def as_json(vectors: Floats) -> list[bytes]:
    """Each row as a JSON array whose numbers are these, read as float32."""
    return [msgspec.json.encode(row) for row in _short(vectors).tolist()]


def _short(vectors: Floats) -> NDArray[np.float64]:
    """The doubles nearest to the numbers written with nine digits: those print with no more than nine.

    A whole number divided by a power of ten that a double holds exactly is rounded once, to that double.
    What is smaller than such powers reach stays as it is.
    """
    values = vectors.astype(np.float64)
    with np.errstate(divide="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(np.abs(values)))
    power = 10.0 ** np.clip(places, 0, _LARGEST_EXACT_POWER)
    return np.where(places > _LARGEST_EXACT_POWER, values, np.rint(values * power) / power)
