"""Vectors on their way: from an embedder, into a vector store, and out of it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowvec.rates import Rates

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Embedding:
    """One request's answer: float32 `vectors` of shape (texts, dimension), and the `tokens` it cost.

    `rates` are what the provider told with it that the caller is to keep to.
    """

    vectors: Floats
    tokens: int
    rates: Rates | None = None


@dataclass(frozen=True, slots=True)
class VectorBatch:
    """Vectors to write, column by column; all columns have the same length n.

    `vectors` is float32 of shape (n, dimension). `ids` are the vectors' ids, `row_ids` the ids of
    the rows they come from (equal unless a row was split into passages), unique within the batch.
    """

    task_id: str
    ids: Sequence[str]
    row_ids: Sequence[str]
    row_numbers: Sequence[int]
    vectors: Floats
    texts: Sequence[str]
    metadata: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who wrote a stored vector: task and 1-based row number."""

    id: str
    row_id: str
    task_id: str
    row_number: int


@dataclass(frozen=True, slots=True)
class Match:
    """A search result. `score` is the cosine similarity, -1 to 1, higher is nearer."""

    id: str
    score: float
    text: str
    metadata: Mapping[str, Any]
