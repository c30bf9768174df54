"""The Lance table of one namespace: one writer, many readers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rowvec.errors import RetryLater
from rowvec.vectors import Floats, Match, Stamp
from rowvec.vectorstores.lancedb import columns
from rowvec.vectorstores.lancedb.disk import NewFiles
from rowvec.vectorstores.lancedb.errors import committed, translated
from rowvec.vectorstores.lancedb.group_commit import GroupCommit

_log = logging.getLogger(__name__)

GROUP_VECTORS = 10_000
GROUP_BYTES = 64 * 2**20
# A filter costs by its ids, a scan by the table; they met here at 500,000 rows.
_MOST_IDS_IN_A_FILTER = 2_000
_SCAN_ROWS = 8_192
# A reader may be at work on an old version for so long; its files are kept until then.
_KEEP_OLD_VERSIONS = timedelta(minutes=5)
_ROWS_OF_A_FULL_FRAGMENT = 2**20
_SMALL_FRAGMENTS = 48
_TOO_MANY_FRAGMENTS = 256
_LOOK_EVERY_GROUPS = 16


class LanceTable:
    """Writes in groups, compacts when it is worth it, and reads what is newest.

    `table` is a `lancedb.table.AsyncTable`, untyped because its hints are not what it returns.
    """

    def __init__(self, namespace: str, dimension: int, table: Any, folder: Path) -> None:
        self.dimension = dimension
        self._namespace = namespace
        self._table = table
        self._new_files = NewFiles(folder)
        self._writing = asyncio.Lock()
        self._groups = GroupCommit(self._merge, _share)
        self._groups_since_look = 0
        self._rows_since_compaction = 0

    async def upsert(self, rows: pa.Table) -> None:
        """Durable on return, together with what other callers wrote meanwhile."""
        await self._groups.submit(rows)

    async def stamps(self, row_ids: Sequence[str]) -> list[Stamp]:
        wanted = list(dict.fromkeys(row_ids))
        if len(wanted) > _MOST_IDS_IN_A_FILTER:
            among = await asyncio.to_thread(pa.array, wanted, pa.string())
            return await self._scan(among=among)
        return await self._scan(where=columns.among("row_id", wanted)) if wanted else []

    async def all_stamps(self) -> list[Stamp]:
        return await self._scan()

    async def of_task(self, task_id: str) -> AsyncIterator[Sequence[Stamp]]:
        async for rows in self._batches(columns.among("task_id", [task_id])):
            yield await asyncio.to_thread(columns.to_stamps, rows)

    async def delete(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), _MOST_IDS_IN_A_FILTER):
            await self._delete(columns.among("id", ids[start : start + _MOST_IDS_IN_A_FILTER]))

    async def delete_task(self, task_id: str) -> int:
        return await self._delete(columns.among("task_id", [task_id]))

    async def count(self) -> int:
        with translated(self._namespace):
            return int(await self._table.count_rows())

    async def search(self, vector: Floats, limit: int) -> list[Match]:
        query = self._table.query().nearest_to(vector).column("vector").distance_type("cosine")
        with translated(self._namespace):
            rows = await query.bypass_vector_index().limit(limit).select(columns.MATCH_COLUMNS).to_arrow()
        return columns.to_matches(rows)

    async def close(self) -> None:
        await self._groups.drain()
        async with self._writing:
            await self._compact_if_due()
        self._table.close()

    async def _merge(self, groups: Sequence[pa.Table]) -> None:
        rows = await asyncio.to_thread(columns.merged, groups)
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        async with self._writing:
            await self._look_after_it()
            await committed(self._namespace, lambda: merge.execute(rows))
            await self._sync()
        self._rows_since_compaction += rows.num_rows

    async def _delete(self, where: str) -> int:
        async with self._writing:
            deleted = await committed(self._namespace, lambda: self._table.delete(where))
            await self._sync()
        return int(deleted.num_deleted_rows)

    async def _sync(self) -> None:
        with translated(self._namespace):
            await asyncio.to_thread(self._new_files.sync)

    async def _scan(self, where: str | None = None, among: pa.Array | None = None) -> list[Stamp]:
        found: list[Stamp] = []
        async for rows in self._batches(where):
            kept = rows if among is None else rows.filter(pc.is_in(rows.column("row_id"), among))
            found += await asyncio.to_thread(columns.to_stamps, kept)
        return found

    async def _batches(self, where: str | None) -> AsyncIterator[pa.RecordBatch]:
        query = self._table.query().select(columns.STAMP_COLUMNS)
        with translated(self._namespace):
            filtered = query if where is None else query.where(where)
            async for rows in await filtered.to_batches(max_batch_length=_SCAN_ROWS):
                yield rows

    async def _look_after_it(self) -> None:
        self._groups_since_look += 1
        if self._groups_since_look >= _LOOK_EVERY_GROUPS:
            self._groups_since_look = 0
            await self._compact_if_due()

    async def _compact_if_due(self) -> None:
        """Compact when the new part is worth it, so that each row is rewritten a few times at most.

        Every group leaves a fragment, and a write reads the ids of them all.
        """
        with translated(self._namespace):
            stats = await self._table.stats()
        small = stats["fragment_stats"]["num_fragments"] - stats["num_rows"] // _ROWS_OF_A_FULL_FRAGMENT
        grown = 4 * self._rows_since_compaction >= stats["num_rows"]
        if small >= _TOO_MANY_FRAGMENTS or (small >= _SMALL_FRAGMENTS and grown):
            await self._compact()

    async def _compact(self) -> None:
        try:
            with translated(self._namespace):
                await self._table.optimize(cleanup_older_than=_KEEP_OLD_VERSIONS)
        except RetryLater as error:
            # Another process wrote or compacted first. Nothing is lost; the next look tries again.
            _log.info("not compacted", extra={"namespace": self._namespace, "reason": error.message})
        else:
            self._rows_since_compaction = 0
            await self._sync()


def _share(rows: pa.Table) -> float:
    return float(max(rows.num_rows / GROUP_VECTORS, rows.nbytes / GROUP_BYTES))
