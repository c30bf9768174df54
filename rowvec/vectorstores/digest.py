"""A vector store that only counts, for measuring everything in front of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowvec.errors import StoreMismatch
from rowvec.vectors import Floats, Match, Stamp, VectorBatch
from rowvec.vectorstores.base import VectorStore
from rowvec.vectorstores.limits import require_dimension, require_fit, require_namespace

Words = NDArray[np.uint64]
_SEED = 20261123


@dataclass(slots=True)
class _Namespace:
    weights: Words
    upserts: int = 0
    digest: int = 0


class DigestStore(VectorStore):
    """Keeps no vector: a namespace is the number of its upserts and a hash of them in any order.

    So `count` counts a vector written twice twice, `stamps`, `all_stamps` and `search` find
    nothing, and `delete` and `delete_task` have nothing to remove.
    """

    max_batch = 10_000
    max_batch_bytes = 64 * 2**20
    max_metadata_bytes = 2**20
    counts_exactly = False

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> DigestStore:  # noqa: ARG003 (the contract's signature)
        return cls()

    async def prepare(self, namespace: str, dimension: int) -> None:
        fresh = _Namespace(_weights(dimension))
        held = self._namespaces.setdefault(require_namespace(namespace), fresh)
        require_dimension(namespace, len(held.weights), dimension)

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        held = self._namespaces.get(namespace)
        if held is None:
            raise StoreMismatch(f"The namespace '{namespace}' has not been prepared.")
        require_dimension(namespace, len(held.weights), batch.vectors.shape[1])
        require_fit(self, batch)
        held.upserts += len(batch)
        held.digest = (held.digest + _digest(batch, held.weights)) % 2**64

    def digest(self, namespace: str) -> int:
        """The sum, modulo 2**64, of a hash of each upserted id and vector; 0 for none."""
        held = self._namespaces.get(require_namespace(namespace))
        return 0 if held is None else held.digest

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:  # noqa: ARG002 (keeps none)
        return []

    async def all_stamps(self, namespace: str) -> list[Stamp]:  # noqa: ARG002 (keeps none)
        return []

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:  # noqa: ARG002 (keeps none)
        return

    async def delete_task(self, namespace: str, task_id: str) -> int:  # noqa: ARG002 (keeps none)
        return 0

    async def count(self, namespace: str) -> int:
        held = self._namespaces.get(require_namespace(namespace))
        return 0 if held is None else held.upserts

    async def search(self, namespace: str, vector: Floats, limit: int) -> list[Match]:  # noqa: ARG002 (keeps none)
        return []

    async def ping(self) -> None:
        return


def _weights(dimension: int) -> Words:
    """Odd numbers, the same in every process, so that digests can be compared."""
    return np.random.default_rng(_SEED).integers(0, 2**63, dimension, np.uint64) * np.uint64(2) + np.uint64(1)


def _digest(batch: VectorBatch, weights: Words) -> int:
    names = b"".join(hashlib.blake2b(id_.encode(), digest_size=8).digest() for id_ in batch.ids)
    bits = np.ascontiguousarray(batch.vectors, np.float32).view(np.uint32).astype(np.uint64)
    mixed = _scrambled(np.frombuffer(names, np.uint64) ^ _scrambled(bits @ weights))
    return int(mixed.sum(dtype=np.uint64))


def _scrambled(words: Words) -> Words:
    """Every bit of the input moves half of the output's: sums of such words do not cancel out."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
