"""The embedded vector store: LanceDB tables in a folder, one a namespace."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from rowvec.errors import NotConfigured, StoreMismatch, Unavailable
from rowvec.vectors import Floats, Match, Stamp, VectorBatch
from rowvec.vectorstores.base import VectorStore
from rowvec.vectorstores.lancedb import columns
from rowvec.vectorstores.lancedb.engine import CACHE_BYTES, engine
from rowvec.vectorstores.lancedb.errors import RAISED, is_missing, translated
from rowvec.vectorstores.lancedb.table import GROUP_BYTES, GROUP_VECTORS, LanceTable
from rowvec.vectorstores.limits import require_dimension, require_fit, require_namespace

_CREATIONS = 5


class LanceDBStore(VectorStore):
    """Tables any LanceDB tool can open: `lancedb:///var/lib/vectordb/vectors` or `lancedb://relative`.

    Several processes may write and read at once. Use one instance on one event loop.
    """

    max_batch = GROUP_VECTORS
    max_batch_bytes = GROUP_BYTES
    max_metadata_bytes = 2**20
    in_flight = 16  # one group of ten chunks is written while the next comes together

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._connection: Any = None
        self._tables: dict[str, LanceTable] = {}
        self._connecting, self._creating = asyncio.Lock(), asyncio.Lock()

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> LanceDBStore:  # noqa: ARG003 (the contract's signature)
        path = url.removeprefix("lancedb://")
        if path == url or not path:
            raise NotConfigured(
                f"'{url}' names no folder. Write lancedb:///absolute/folder or lancedb://relative/folder."
            )
        if find_spec("lancedb") is None:
            raise NotConfigured("The vector store 'lancedb' is not installed: pip install lancedb.")
        return cls(Path(path))

    async def prepare(self, namespace: str, dimension: int) -> None:
        table = await self._table(namespace)
        if table is None:
            async with self._creating:
                table = await self._table(namespace) or await self._create(namespace, dimension)
        require_dimension(namespace, table.dimension, dimension)

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        table = await self._table(namespace)
        if table is None:
            raise StoreMismatch(f"The namespace '{namespace}' has not been prepared.")
        require_dimension(namespace, table.dimension, batch.vectors.shape[1])
        rows = await asyncio.to_thread(self._rows, batch)
        if rows.num_rows:
            await table.upsert(rows)

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        table = await self._table(namespace)
        return [] if table is None else await table.stamps(row_ids)

    async def all_stamps(self, namespace: str) -> list[Stamp]:
        table = await self._table(namespace)
        return [] if table is None else await table.all_stamps()

    async def of_task(self, namespace: str, task_id: str) -> AsyncIterator[Sequence[Stamp]]:
        table = await self._table(namespace)
        if table is not None:
            async for stamps in table.of_task(task_id):
                yield stamps

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        table = await self._table(namespace)
        if table is not None:
            await table.delete(ids)

    async def delete_task(self, namespace: str, task_id: str) -> int:
        table = await self._table(namespace)
        return 0 if table is None else await table.delete_task(task_id)

    async def count(self, namespace: str) -> int:
        table = await self._table(namespace)
        return 0 if table is None else await table.count()

    async def search(self, namespace: str, vector: Floats, limit: int) -> list[Match]:
        table = await self._table(namespace)
        if table is None or limit < 1:
            return []
        require_dimension(namespace, table.dimension, len(vector))
        return await table.search(vector, limit)

    async def ping(self) -> None:
        with translated("*"):
            await asyncio.to_thread(_probe, self._folder)

    async def warm_up(self) -> None:
        await asyncio.to_thread(engine)

    async def close(self) -> None:
        async with self._connecting:
            for table in self._tables.values():
                await table.close()
            self._tables.clear()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _rows(self, batch: VectorBatch) -> pa.Table:
        return columns.from_batch(batch, require_fit(self, batch))

    async def _table(self, namespace: str) -> LanceTable | None:
        """The namespace's table, None when there is none. Nobody waits for that of another."""
        known = self._tables.get(namespace)
        if known is not None:
            return known
        require_namespace(namespace)
        connection = await self._connected()
        try:
            opened = await connection.open_table(namespace)
        except RAISED as error:
            if is_missing(error):
                return None
            with translated(namespace):
                raise
        return await self._kept(namespace, opened)

    async def _create(self, namespace: str, dimension: int) -> LanceTable:
        """The table, made by us or by whoever was faster."""
        connection = await self._connected()
        failure: Exception = RuntimeError("it was gone as soon as it was made")
        for _ in range(_CREATIONS):
            try:
                await connection.create_table(namespace, schema=columns.schema(dimension))
            except RAISED as error:
                failure = error
            table = await self._table(namespace)
            if table is not None:
                return table
        with translated(namespace):
            raise failure

    async def _kept(self, namespace: str, opened: Any) -> LanceTable:
        """What all callers share: of several that opened it at once, the first one's."""
        with translated(namespace):
            dimension = columns.dimension_of(await opened.schema())
        if dimension is None:
            raise StoreMismatch(
                f"The table '{namespace}' in {self._folder} is another program's. Use another namespace."
            )
        if namespace in self._tables:
            opened.close()
        else:
            folder = self._folder / f"{namespace}.lance"
            self._tables[namespace] = LanceTable(namespace, dimension, opened, folder)
        return self._tables[namespace]

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._connection is None:
                self._connection = await _connect(self._folder)
            return self._connection


async def _connect(folder: Path) -> Any:
    lancedb = await asyncio.to_thread(engine)
    with translated("*"):
        return await lancedb.connect_async(
            str(folder),
            # Each read looks for what other processes have written.
            read_consistency_interval=timedelta(0),
            session=lancedb.Session(CACHE_BYTES, CACHE_BYTES),
        )


def _probe(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
    except FileExistsError as error:
        raise Unavailable(f"{folder}, where the vectors should be, is no folder.") from error
