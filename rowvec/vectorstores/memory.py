"""A vector store in this process, for tests. Gone when the process is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rowvec.errors import StoreMismatch
from rowvec.vectors import Floats, Match, Stamp, VectorBatch
from rowvec.vectorstores.base import VectorStore
from rowvec.vectorstores.limits import require_dimension, require_fit, require_namespace


@dataclass(frozen=True, slots=True)
class _Vector:
    stamp: Stamp
    values: Floats
    text: str
    metadata: str


@dataclass(slots=True)
class _Namespace:
    dimension: int
    vectors: dict[str, _Vector] = field(default_factory=dict)


class MemoryStore(VectorStore):
    """A dictionary a namespace; a search looks at every vector. For one event loop."""

    max_batch = 10_000
    max_batch_bytes = 64 * 2**20
    max_metadata_bytes = 2**20

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> MemoryStore:  # noqa: ARG003 (the contract's signature)
        return cls()

    async def prepare(self, namespace: str, dimension: int) -> None:
        held = self._namespaces.setdefault(require_namespace(namespace), _Namespace(dimension))
        require_dimension(namespace, held.dimension, dimension)

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        held = self._namespaces.get(namespace)
        if held is None:
            raise StoreMismatch(f"The namespace '{namespace}' has not been prepared.")
        require_dimension(namespace, held.dimension, batch.vectors.shape[1])
        metadata = require_fit(self, batch)
        values = np.array(batch.vectors, np.float32)
        for n, id_ in enumerate(batch.ids):
            stamp = Stamp(id_, batch.row_ids[n], batch.task_id, int(batch.row_numbers[n]))
            held.vectors[id_] = _Vector(stamp, values[n], batch.texts[n], metadata[n])

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        wanted = frozenset(row_ids)
        return [stamp for stamp in await self.all_stamps(namespace) if stamp.row_id in wanted]

    async def all_stamps(self, namespace: str) -> list[Stamp]:
        return [vector.stamp for vector in self._vectors(namespace).values()]

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        vectors = self._vectors(namespace)
        for id_ in ids:
            vectors.pop(id_, None)

    async def delete_task(self, namespace: str, task_id: str) -> int:
        ids = [stamp.id for stamp in await self.all_stamps(namespace) if stamp.task_id == task_id]
        await self.delete(namespace, ids)
        return len(ids)

    async def count(self, namespace: str) -> int:
        return len(self._vectors(namespace))

    async def search(self, namespace: str, vector: Floats, limit: int) -> list[Match]:
        vectors = list(self._vectors(namespace).values())
        if not vectors or limit < 1:
            return []
        require_dimension(namespace, self._namespaces[namespace].dimension, len(vector))
        scores = _cosines(np.stack([held.values for held in vectors]), vector)
        nearest = np.argsort(-scores, kind="stable")[:limit]
        return [_match(vectors[n], float(scores[n])) for n in nearest]

    async def ping(self) -> None:
        return

    def _vectors(self, namespace: str) -> dict[str, _Vector]:
        held = self._namespaces.get(require_namespace(namespace))
        return {} if held is None else held.vectors


def _cosines(vectors: Floats, query: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    cosines: Floats = np.clip(vectors @ query / np.maximum(lengths, np.float32(1e-30)), -1.0, 1.0)
    return cosines


def _match(vector: _Vector, score: float) -> Match:
    return Match(vector.stamp.id, score, vector.text, json.loads(vector.metadata))
