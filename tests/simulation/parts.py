"""The parts of one process, each at its end of a wire. What they reach is shared by all and never dies."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from rowvec.embedders.memory import MemoryEmbedder
from rowvec.embedding import ANY_TEXT
from rowvec.errors import InputRefused, QuotaExhausted, RateLimited, Unusable
from rowvec.filestores.base import FileStore
from rowvec.vectors import Embedding, Floats, Match, Stamp, VectorBatch
from rowvec.vectorstores.base import VectorStore
from rowvec.vectorstores.memory import MemoryStore
from tests.simulation.faults import PROVIDER, SERVICE, STORE, Fate
from tests.simulation.process import LIFE
from tests.simulation.wire import Wire, at_once

T = TypeVar("T")

DIMENSION = 4


class Provider:
    """Embeds for money. A text in `poison` is refused, and costs nothing."""

    def __init__(self, poison: frozenset[str]) -> None:
        self.poison = poison
        self.paid = Counter[str]()
        self.spoilt = Counter[str]()
        """Paid, and the answer never came, was of no use, or came when nobody waited for it any more."""
        self._model = MemoryEmbedder(DIMENSION)

    def vector(self, text: str) -> Floats:
        vector: Floats = at_once(self._model.embed([text])).vectors[0]
        return vector

    def answer(self, texts: Sequence[str]) -> Embedding:
        if not self.poison.isdisjoint(texts):
            raise InputRefused("this text is not to our taste")
        self.paid.update(text for text in texts if text != ANY_TEXT)
        return at_once(self._model.embed(texts))


class WiredEmbedder(MemoryEmbedder):
    """A process's way to the provider."""

    max_inputs = 3

    def __init__(self, provider: Provider, wire: Wire, max_tokens: int, chance: random.Random) -> None:
        super().__init__(DIMENSION)
        self.max_tokens = max_tokens
        self._provider = provider
        self._wire = wire
        self._chance = chance

    async def embed(self, texts: Sequence[str]) -> Embedding:
        dice = self._wire.dice
        fate = dice.fate(dice.rates.provider, PROVIDER)
        try:
            return await self._wire.call(f"embed {len(texts)}", lambda: self._answer(texts, fate), fate)
        except asyncio.CancelledError:
            self._provider.spoilt.update(texts)
            raise

    def _answer(self, texts: Sequence[str], fate: Fate) -> Embedding:
        if fate is Fate.RATE_LIMITED:
            raise RateLimited("slow down", self._chance.choice((None, 0.0, self._chance.random() * 3)))
        if fate is Fate.REFUSED:
            raise QuotaExhausted("no units left")
        if fate is Fate.ODD:
            raise ValueError("what nobody has thought of")
        embedding = self._provider.answer(texts)
        if fate in (Fate.LOST, Fate.UNUSABLE):
            self._provider.spoilt.update(texts)
        if fate is Fate.UNUSABLE:
            raise Unusable("these are no vectors")
        return embedding


class WiredStore(VectorStore):
    """A process's way to the vector store."""

    max_batch = 3
    max_batch_bytes = MemoryStore.max_batch_bytes
    max_metadata_bytes = MemoryStore.max_metadata_bytes

    def __init__(self, store: MemoryStore, wire: Wire, poison: frozenset[str], chance: random.Random) -> None:
        self._store = store
        self._wire = wire
        self._poison = poison
        self._chance = chance

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> WiredStore:
        raise NotImplementedError("made by the world only")

    async def prepare(self, namespace: str, dimension: int) -> None:
        await self._wire.call(
            "prepare", lambda: at_once(self._store.prepare(namespace, dimension)), self._fate()
        )

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        fate = self._fate()
        life = LIFE.get()

        def write() -> None:
            if not self._poison.isdisjoint(batch.texts):
                raise InputRefused("this vector is not to our taste")
            part = self._some(batch) if fate is Fate.LOST else batch
            at_once(self._store.upsert(namespace, part))
            self._wire.trace.add(f"{life}: stored {list(zip(part.ids, part.row_numbers, strict=True))}")

        await self._wire.call(f"upsert {len(batch)}", write, fate)

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        return await self._wire.call(
            "stamps", lambda: at_once(self._store.stamps(namespace, row_ids)), self._fate()
        )

    async def all_stamps(self, namespace: str) -> list[Stamp]:
        return await self._wire.call(
            "all stamps", lambda: at_once(self._store.all_stamps(namespace)), self._fate()
        )

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        def delete() -> None:
            at_once(self._store.delete(namespace, ids))
            self._wire.trace.add(f"deleted {list(ids)}")

        await self._wire.call(f"delete {len(ids)}", delete, self._fate())

    async def delete_task(self, namespace: str, task_id: str) -> int:
        return await self._wire.call(
            "delete task", lambda: at_once(self._store.delete_task(namespace, task_id)), self._fate()
        )

    async def count(self, namespace: str) -> int:
        return await self._wire.call("count", lambda: at_once(self._store.count(namespace)), self._fate())

    async def search(self, namespace: str, vector: Floats, limit: int) -> list[Match]:
        return await self._wire.call(
            "search", lambda: at_once(self._store.search(namespace, vector, limit)), self._fate()
        )

    async def ping(self) -> None:
        await self._wire.call("ping", lambda: None, self._fate())

    def _fate(self) -> Fate:
        return self._wire.dice.fate(self._wire.dice.rates.store, STORE)

    def _some(self, batch: VectorBatch) -> VectorBatch:
        """As many of its vectors as were written when the connection broke."""
        some = slice(self._chance.randint(0, len(batch)))
        columns = ("ids", "row_ids", "row_numbers", "vectors", "texts", "metadata")
        return replace(batch, **{name: getattr(batch, name)[some] for name in columns})


class WiredFiles(FileStore):
    """A process's way to the files, which are a dictionary that is shared."""

    def __init__(self, files: dict[str, bytes], wire: Wire) -> None:
        self._files = files
        self._wire = wire

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> WiredFiles:
        raise NotImplementedError("made by the world only")

    async def write(self, name: str, data: bytes) -> None:
        await self._call(f"write {_tail(name)}", lambda: self._files.__setitem__(name, data))

    async def write_stream(self, name: str, parts: AsyncIterator[bytes]) -> int:
        data = b"".join([part async for part in parts])
        await self.write(name, data)
        return len(data)

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        def read() -> bytes:
            if name not in self._files:
                raise FileNotFoundError(name)
            return self._files[name][start:end]

        return await self._call(f"read {_tail(name)}", read)

    async def size(self, name: str) -> int | None:
        return await self._call("size", lambda: len(self._files[name]) if name in self._files else None)

    async def names(self, prefix: str) -> list[str]:
        return await self._call("names", lambda: sorted(n for n in self._files if n.startswith(prefix)))

    async def delete(self, name: str) -> None:
        await self._call(f"delete {_tail(name)}", lambda: self._files.pop(name, None))

    async def ping(self) -> None:
        await self._call("ping", lambda: None)

    async def _call(self, what: str, do: Callable[[], T]) -> T:
        dice = self._wire.dice
        return await self._wire.call(what, do, dice.fate(dice.rates.files, SERVICE))


def _tail(name: str) -> str:
    return name.rpartition("/")[2]
