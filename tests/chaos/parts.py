"""The product's own parts, with marks: chosen by settings, as anybody's `module:Class` can be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from rowvec import embedders
from rowvec.backends import load
from rowvec.embedders.base import Embedder
from rowvec.ledgers.base import Allowance
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import ChunkFiles, Claim, Counts, PlannedChunk, Totals, WorkerInfo, WorkKind
from rowvec.vectors import Embedding, VectorBatch
from rowvec.vectorstores.lancedb import LanceDBStore
from tests.chaos import marks


class MarkedEmbedder(Embedder):
    """The embedder that `CHAOS_EMBEDDER` names, each call marked and `CHAOS_PACE` seconds longer.

    A remote provider takes some tenths of a second a request; at the local one's speed a task would
    be over before it can be killed often.
    """

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self._pace = float(os.environ[marks.PACE])
        self.model = inner.model
        self.dimension = inner.dimension
        self.max_tokens = inner.max_tokens
        self.max_inputs = inner.max_inputs
        self.max_request_tokens = inner.max_request_tokens

    @classmethod
    def open(cls, settings: Mapping[str, str]) -> MarkedEmbedder:
        inner = load("embedder", embedders.TABLE, os.environ[marks.EMBEDDER])
        return cls(inner.open(settings))

    async def embed(self, texts: Sequence[str]) -> Embedding:
        marks.write(marks.EMBED, len(texts))
        await asyncio.sleep(self._pace)
        return await self._inner.embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._inner.count_tokens(texts)

    async def ping(self) -> None:
        await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()


class MarkedLedger(SqlLedger):
    """The SQLite ledger in DATA_DIR. Planning and the end of a task last `CHAOS_PACE` longer."""

    def __init__(self, url: str, busy_seconds: float) -> None:
        super().__init__(url, busy_seconds)
        self._pace = float(os.environ[marks.PACE])

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> SqlLedger:
        return super().open(f"sqlite:///{settings['DATA_DIR']}/ledger.db", settings)

    async def enlist(self, worker: WorkerInfo) -> None:
        await super().enlist(worker)
        marks.write(marks.ALIVE)

    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        claims = await super().claim(worker, most, most_per_task)
        for claim in claims:
            if claim.chunk:
                marks.write(marks.CLAIM, claim.chunk.plan.rows, claim.chunk.plan.number)
            else:
                marks.write(marks.PLAN if claim.kind is WorkKind.PLAN else marks.SETTLE)
        return claims

    async def append_chunks(self, task_id: str, fence: int, chunks: Sequence[PlannedChunk]) -> None:
        marks.write(marks.APPEND, sum(chunk.rows for chunk in chunks))
        await asyncio.sleep(self._pace)
        await super().append_chunks(task_id, fence, chunks)

    async def planned(self, task_id: str, fence: int, totals: Totals) -> None:
        marks.write(marks.PLANNED, totals.rows)
        await super().planned(task_id, fence, totals)

    async def commit(self, task_id: str, number: int, fence: int, counts: Counts, files: ChunkFiles) -> None:
        marks.write(marks.COMMIT, counts.embedded, number)
        await super().commit(task_id, number, fence, counts, files)
        marks.write(marks.COMMITTED, counts.read, number)

    async def settled(self, task_id: str, fence: int, duplicates: int, passages: int) -> None:
        marks.write(marks.ENDING, duplicates)
        await asyncio.sleep(self._pace)
        await super().settled(task_id, fence, duplicates, passages)
        marks.write(marks.SETTLED, duplicates)


class MarkedStore(LanceDBStore):
    """The LanceDB store in DATA_DIR."""

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> LanceDBStore:
        return super().open(f"lancedb://{settings['DATA_DIR']}/vectors", settings)

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        marks.write(marks.STORE, len(batch))
        await super().upsert(namespace, batch)
        marks.write(marks.STORED, len(batch))
