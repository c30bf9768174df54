"""What a chunk wrote: a row's id, number, content hash and number of passages, as a Parquet file."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rowvec.filestores.base import FileStore
from rowvec.model import Chunk, ChunkFiles

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("row_number", pa.int64(), nullable=False),
        pa.field("content_hash", pa.binary(16), nullable=False),
        pa.field("passages", pa.int32(), nullable=False),
        pa.field("id_hash", pa.uint64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of one chunk that are in the index, column by column."""

    ids: Sequence[str]
    row_numbers: Sequence[int]
    content_hashes: Sequence[bytes]
    passages: Sequence[int]

    def __add__(self, other: Manifest) -> Manifest:
        return Manifest(
            [*self.ids, *other.ids],
            [*self.row_numbers, *other.row_numbers],
            [*self.content_hashes, *other.content_hashes],
            [*self.passages, *other.passages],
        )

    def encode(self) -> bytes:
        table = pa.table(
            [self.ids, self.row_numbers, self.content_hashes, self.passages, id_hashes(self.ids)],
            schema=_SCHEMA,
        )
        buffer = BytesIO()
        pq.write_table(table, buffer, compression="zstd", write_statistics=False)
        return buffer.getvalue()

    @staticmethod
    def decode(data: bytes) -> Manifest:
        columns = _read(data, None).to_pydict()
        return Manifest(columns["id"], columns["row_number"], columns["content_hash"], columns["passages"])


@dataclass(frozen=True, slots=True)
class Written:
    """Where the manifest of one chunk is: all that is held of each chunk of a large task."""

    chunk: int
    file: str


async def written(chunks: AsyncIterable[Chunk]) -> list[Written]:
    """The manifests of those chunks that have one."""
    return [
        Written(chunk.plan.number, chunk.files.manifest) async for chunk in chunks if chunk.files.manifest
    ]


async def read_merged(
    files: FileStore, manifests: Iterable[Written], rows: int = 10_000
) -> AsyncIterator[Manifest]:
    """The manifests in order, several joined up to about so many rows each."""
    joined = Manifest([], [], [], [])
    for manifest in manifests:
        joined += Manifest.decode(await files.read(manifest.file))
        if len(joined.ids) >= rows:
            yield joined
            joined = Manifest([], [], [], [])
    if joined.ids:
        yield joined


def decode_hashes(data: bytes) -> NDArray[np.uint64]:
    """Only the 64-bit hashes of the ids: what finding doubles needs."""
    hashes: NDArray[np.uint64] = _read(data, ["id_hash"])["id_hash"].to_numpy()
    return hashes


def _read(data: bytes, columns: list[str] | None) -> pa.Table:
    """Without the threads and the dataset engine of `read_table`, which cost more than a small file."""
    with pq.ParquetFile(BytesIO(data)) as file:
        return file.read(columns, use_threads=False)


def id_hashes(ids: Iterable[str]) -> NDArray[np.uint64]:
    digests = b"".join(blake2b(i.encode(), digest_size=8).digest() for i in ids)
    return np.frombuffer(digests, dtype="<u8")


def name(task_id: str, kind: str, number: int, fence: int, suffix: str) -> str:
    """A file of one attempt at a chunk: a late writer of another attempt never touches it."""
    return f"tasks/{task_id}/{kind}/{number:08d}-{fence}.{suffix}"


def chunk_files(task_id: str, number: int, fence: int, any_rows: bool, any_notes: bool) -> ChunkFiles:
    return ChunkFiles(
        manifest=name(task_id, "manifest", number, fence, "parquet") if any_rows else None,
        rejected=name(task_id, "rejected", number, fence, "jsonl") if any_notes else None,
    )
