"""Batches to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rowvec.vectors import Floats, VectorBatch
from rowvec.vectorstores.base import VectorStore
from tests.pinecone.conftest import DIMENSION


def directions(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


def batch(ids: Sequence[str], task: str = "t", **columns: Any) -> VectorBatch:
    given: dict[str, Any] = {
        "row_ids": list(ids),
        "row_numbers": list(range(1, len(ids) + 1)),
        "vectors": directions(len(ids)),
        "texts": [f"text of {id_}" for id_ in ids],
        "metadata": [{"n": n} for n in range(len(ids))],
    }
    return VectorBatch(task, ids, **(given | columns))


def numbered(count: int, first: int = 0) -> list[str]:
    return [f"id-{n}" for n in range(first, first + count)]


async def ids_in(store: VectorStore, namespace: str = "ns") -> list[str]:
    return sorted(stamp.id for stamp in await store.all_stamps(namespace))
