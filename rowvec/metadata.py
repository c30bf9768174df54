"""What is stored beside a vector: typed once for the task, fitted to the store's limits."""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from rowvec.spec import TaskSpec

Value = str | float | int | bool

TYPES = ("string", "number", "bool")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?")
_BOOLS = {"true": True, "false": False}


def infer_types(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """The type each column has in a sample: `number` or `bool` only where every value says so.

    A number with a leading zero, an exponent or more than 15 digits stays a string: its spelling
    carries meaning (a postcode, an account) or would not survive as a float64.
    """
    return {name: _type_of([row[i] for row in rows if row[i]]) for i, name in enumerate(columns)}


def _type_of(values: Sequence[str]) -> str:
    if values and all(_NUMBER.fullmatch(value) for value in values):
        return "number"
    if values and all(value.lower() in _BOOLS for value in values):
        return "bool"
    return "string"


class Fitted(msgspec.Struct, frozen=True):
    """Metadata as stored, and a sentence for each value that could not stay as it was."""

    values: dict[str, Value]
    warnings: list[str]


class Fitter:
    """Turns a row into metadata of at most `max_bytes` as JSON. Empty values are left out."""

    def __init__(self, spec: TaskSpec, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        index = {name: i for i, name in enumerate(spec.header)}
        self._columns = [
            (name, index[name], spec.types.get(name, "string")) for name in spec.metadata_columns
        ]
        self._frame_bytes = 2 + sum(6 * len(name) + 8 for name in spec.metadata_columns)

    def fit(self, row: Sequence[str]) -> Fitted:
        values: dict[str, Value] = {}
        warnings: list[str] = []
        for name, i, kind in self._columns:
            text = row[i]
            if not text:
                continue
            value = text if kind == "string" else _typed(text, kind)
            if value is None:
                warnings.append(f"column '{name}' holds {kind}s; {text[:80]!r} is none and was left out")
                continue
            values[name] = value
        if self._frame_bytes + 6 * sum(map(len, row)) > self._max_bytes:
            self._trim(values, warnings)
        return Fitted(values, warnings)

    def _trim(self, values: dict[str, Value], warnings: list[str]) -> None:
        """Shorten the longest strings until the JSON fits; last, leave whole values out."""
        while (over := _size(values) - self._max_bytes) > 0 and values:
            name = max(values, key=lambda n: _size({n: values[n]}))
            value = values[name]
            if isinstance(value, str) and (kept := _shortened(value, over)):
                values[name] = kept
                warnings.append(
                    f"column '{name}' was cut to {len(kept)} of {len(value)} characters to fit the store"
                )
            else:
                del values[name]
                warnings.append(f"column '{name}' was left out to fit the store's {self._max_bytes} bytes")


def _typed(text: str, kind: str) -> Value | None:
    text = text.strip()
    if kind == "bool":
        return _BOOLS.get(text.lower())
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _shortened(text: str, bytes_less: int) -> str:
    """The longest beginning of the text of which the JSON is so many bytes shorter."""
    most = _size(text) - bytes_less
    lengths = range(1, min(len(text), most) + 1)
    return text[: bisect_right(lengths, most, key=lambda length: _size(text[:length]))]


def _size(values: dict[str, Value] | str) -> int:
    return len(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"))
