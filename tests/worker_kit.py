"""A machine small enough to watch: a SQLite ledger, the rest in memory, and parts that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from rowvec.embedders.memory import MemoryEmbedder
from rowvec.errors import InputRefused, Unavailable
from rowvec.filestores.folder import FolderStore
from rowvec.intake import TaskRequest, submit
from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.roster import NOTHING
from rowvec.ledgers.sql import SqlLedger
from rowvec.machine import Limits, Machine
from rowvec.model import ChunkFiles, Claim, Counts, PlannedChunk, Task, Totals
from rowvec.retry import RetryPolicy
from rowvec.spec import TaskSpec
from rowvec.usage import Usage
from rowvec.vectors import Embedding, VectorBatch
from rowvec.vectorstores.memory import MemoryStore
from rowvec.worker import Worker
from tests.quick_disk import quick_disk

T = TypeVar("T")
PATIENCE = 30.0


class WatchedLedger(SqlLedger):
    """Tells of every write, so that a test awaits a state instead of sleeping until it may be there.

    The next `outages[name]` calls of that name find it away; while `deaf`, all beats do. `sweeps` says
    whether anybody is buried for being silent. With `plans_wait_for_a_chunk` a plan does not come to its end
    before a chunk is done.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        quick_disk(self)
        self._written = asyncio.Event()
        self.outages: dict[str, int] = {}
        self.deaf = False
        self.missed = 0
        self.sweeps = True
        self.plans_wait_for_a_chunk = False

    async def until(self, task_id: str, true: Callable[[Task], bool]) -> Task:
        """The task as soon as this is true of it. Raises TimeoutError when it never is."""
        async with asyncio.timeout(PATIENCE):
            while True:
                written = self._written
                task = await self.task(task_id)
                if true(task):
                    return task
                await written.wait()

    async def end_of(self, task_id: str) -> Task:
        return await self.until(task_id, lambda task: task.state.ended)

    async def until_risen(self, buried: str) -> None:
        """A worker of another name is alive."""
        async with asyncio.timeout(PATIENCE):
            while True:
                written = self._written
                if any(worker.id != buried for worker in await self.workers()):
                    return
                await written.wait()

    async def until_missed(self, beats: int) -> None:
        """So many more beats were not heard."""
        enough = self.missed + beats
        async with asyncio.timeout(PATIENCE):
            while self.missed < enough:
                await self._written.wait()

    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        self._or_away("claim")
        return await super().claim(worker, most, most_per_task)

    async def append_chunks(self, task_id: str, fence: int, chunks: Sequence[PlannedChunk]) -> None:
        self._or_away("append_chunks")
        await super().append_chunks(task_id, fence, chunks)

    async def planned(self, task_id: str, fence: int, totals: Totals) -> None:
        if self.plans_wait_for_a_chunk:
            await self.until(task_id, lambda task: task.chunks_done > 0)
        await super().planned(task_id, fence, totals)

    async def pinned(self, task_id: str, fence: int, spec: TaskSpec) -> None:
        self._or_away("pinned")
        await super().pinned(task_id, fence, spec)

    async def commit(self, task_id: str, number: int, fence: int, counts: Counts, files: ChunkFiles) -> None:
        self._or_away("commit")
        await super().commit(task_id, number, fence, counts, files)

    async def hand_back(
        self, task_id: str, number: int, fence: int, error: str | None, not_before: float
    ) -> None:
        self._or_away("hand_back")
        await super().hand_back(task_id, number, fence, error, not_before)

    async def settled(self, task_id: str, fence: int, duplicates: int, passages: int) -> None:
        self._or_away("settled")
        await super().settled(task_id, fence, duplicates, passages)

    async def beat(
        self, worker: str, holding: int, waits: Mapping[str, str] = {}, usage: Usage = NOTHING
    ) -> bool:
        if not self.deaf:
            return await super().beat(worker, holding, waits, usage)
        self.missed += 1
        self._tell()
        raise Unavailable("the ledger hears nothing")

    async def sweep(self, lease_seconds: float) -> int:
        return await super().sweep(lease_seconds) if self.sweeps else 0

    async def _write(self, do: Callable[[Book], T]) -> T:
        result = await super()._write(do)
        self._tell()
        return result

    def _tell(self) -> None:
        self._written.set()
        self._written = asyncio.Event()

    def _or_away(self, name: str) -> None:
        if self.outages.get(name):
            self.outages[name] -= 1
            raise Unavailable("the ledger is away")


class WatchedEmbedder(MemoryEmbedder):
    """Remembers what it was asked and what it gave.

    `failures` are raised first, one a call; `ailing` whenever a text holds its key. A text that holds
    `poison` is refused. A call for a text that holds `held` sets `entered` and waits for `opened`.
    """

    def __init__(self, max_tokens: int = 8_192) -> None:
        super().__init__(8)
        self.max_tokens = max_tokens
        self.calls = 0
        self.given: list[str] = []
        self.failures: list[Exception] = []
        self.ailing: dict[str, Exception] = {}
        self.poison: str | None = None
        self.held: str | None = None
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Embedding:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        for part, error in self.ailing.items():
            if _any_has(texts, part):
                raise error
        if self.poison is not None and _any_has(texts, self.poison):
            raise InputRefused("this text is not to our taste")
        if self.held is not None and _any_has(texts, self.held):
            self.entered.set()
            await self.opened.wait()
        self.given += texts
        return await super().embed(texts)


class WatchedStore(MemoryStore):
    """Remembers the ids of all upserts. A text that holds `poison` is refused, with all that came with it."""

    def __init__(self) -> None:
        super().__init__()
        self.outages = 0
        self.written: list[str] = []
        self.poison: str | None = None

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        if self.outages:
            self.outages -= 1
            raise Unavailable("the store is away")
        if self.poison is not None and _any_has(batch.texts, self.poison):
            raise InputRefused("this vector is not to our taste")
        self.written += batch.ids
        await super().upsert(namespace, batch)


class Workshop:
    """One machine and one file, `rows.csv`."""

    def __init__(self, folder: Path, max_tokens: int = 8_192, lease_seconds: float = 60.0) -> None:
        self._folder = folder
        self.ledger = WatchedLedger(f"sqlite:///{folder}/ledger.db")
        self.embedder = WatchedEmbedder(max_tokens)
        self.store = WatchedStore()
        self.machine = Machine(
            self.ledger,
            FolderStore(folder / "files"),
            self.store,
            self.embedder,
            "memory",
            {"LOCAL_FILES_DIR": str(folder)},
            Limits(10, 1 << 20, lease_seconds),
        )

    def write(self, texts: Iterable[str] | dict[str, str]) -> None:
        """The file: ids `row-0`, `row-1` and so on, or those given, in order."""
        named = texts if isinstance(texts, dict) else {f"row-{n}": text for n, text in enumerate(texts)}
        self.write_pairs(named.items())

    def write_pairs(self, pairs: Iterable[tuple[str, str]]) -> None:
        """The file, with ids that may come twice."""
        lines = [f"{identity},{text}\n" for identity, text in pairs]
        (self._folder / "rows.csv").write_text("id,text\n" + "".join(lines))

    async def submit(self, chunk_size: int = 10, namespace: str = "default") -> str:
        """The id of a new task over the file."""
        await self.ledger.ready()
        wish = TaskRequest("local", "rows.csv", namespace, chunk_size, id_column="id", text_columns=["text"])
        return (await submit(self.machine, wish)).task.id

    @asynccontextmanager
    async def worker(
        self,
        stop: asyncio.Event | None = None,
        grace: float = PATIENCE,
        poll: float = 0.01,
        ring: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[Worker]:
        """A worker that runs until the end of the block; then it has stopped and raised what it raises."""
        stop = stop or asyncio.Event()
        worker = Worker(self.machine, poll=poll, grace=grace, retry=RetryPolicy(3, 0.0), ring=ring)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(worker.run(stop))
            yield worker
            stop.set()
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait([running])

    async def end_of(self, task_id: str) -> Task:
        """The task after a worker has brought it to its end."""
        async with self.worker():
            return await self.ledger.end_of(task_id)

    async def stored(self, namespace: str = "default") -> dict[str, int]:
        """Row numbers by vector id."""
        return {stamp.id: stamp.row_number for stamp in await self.store.all_stamps(namespace)}


def _any_has(texts: Iterable[str], part: str) -> bool:
    return any(part in text for text in texts)
