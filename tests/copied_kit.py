"""A workshop whose table may be packed, or in any encoding."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa

from rowvec.intake import TaskRequest, submit
from rowvec.model import TaskState
from rowvec.spool import copy_name
from tests.worker_kit import Workshop


class Shelf(Workshop):
    """A workshop whose file may hold any bytes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "rows.csv"

    async def submit_bytes(self, data: bytes, encoding: str | None = None) -> str:
        """The id of a new task over these bytes."""
        self.file.write_bytes(data)
        await self.ledger.ready()
        return (await submit(self.machine, self.wish(encoding))).task.id

    def wish(self, encoding: str | None = None, chunk_size: int = 10) -> TaskRequest:
        return TaskRequest(
            "local", "rows.csv", None, chunk_size, None, encoding, id_column="id", text_columns=["text"]
        )

    async def copy_size(self, task_id: str) -> int | None:
        return await self.machine.files.size(copy_name(task_id))

    async def texts(self) -> dict[int, str]:
        """Stored texts by row number."""
        numbers = await self.stored()
        vector = (await self.embedder.embed(["any"])).vectors[0]
        return {numbers[found.id]: found.text for found in await self.store.search("default", vector, 1000)}


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def table(rows: int, word: str = "Größe") -> str:
    return "id,text\r\n" + "".join(f'row-{n},"{word} {n},\nand more"\r\n' for n in range(1, rows + 1))


async def failed_task(shelf: Shelf) -> str:
    """A task of 35 rows with one failed chunk, and its copy."""
    task_id = await shelf.submit_bytes(gzip.compress(table(35).encode()))
    shelf.embedder.ailing = {"Größe 23,": ZeroDivisionError("a bug of ours")}
    assert (await shelf.end_of(task_id)).state is TaskState.FAILED
    shelf.embedder.ailing = {}
    return task_id
