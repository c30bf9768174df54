"""Ids that stand in more than one chunk of a task, found in bounded memory by their hashes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowvec.filestores.base import FileStore
from rowvec.manifest import Manifest, decode_hashes, id_hashes
from rowvec.model import Chunk

PARTITION = 500_000
"""Rows whose hashes are held at once: what bounds the memory of settling."""

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Place:
    """One standing of an id: the row, its chunk, and how many vectors it wrote."""

    row_number: int
    chunk: int
    passages: int


@dataclass(frozen=True, slots=True)
class Double:
    """An id with more than one row in the file. The last row wins."""

    row_id: str
    places: tuple[Place, ...]

    @property
    def winner(self) -> Place:
        return self.places[-1]

    @property
    def losers(self) -> tuple[Place, ...]:
        return self.places[:-1]


async def find_doubles(files: FileStore, chunks: list[Chunk], rows: int) -> AsyncIterator[list[Double]]:
    """Doubled ids of these chunks, a list for each partition of the hashes."""
    written = [chunk for chunk in chunks if chunk.files.manifest]
    parts = max(1, -(-rows // PARTITION))
    for part in range(parts):
        doubled = await _doubled_hashes(files, written, part, parts)
        if len(doubled):
            yield await _resolve(files, written, doubled)


async def _doubled_hashes(files: FileStore, chunks: list[Chunk], part: int, parts: int) -> Hashes:
    pieces = [_of_part(decode_hashes(await _read(files, chunk)), part, parts) for chunk in chunks]
    if not pieces:
        return np.empty(0, np.uint64)
    hashes, counts = np.unique(np.concatenate(pieces), return_counts=True)
    return hashes[counts > 1]


def _of_part(hashes: Hashes, part: int, parts: int) -> Hashes:
    return hashes if parts == 1 else hashes[hashes % np.uint64(parts) == part]


async def _resolve(files: FileStore, chunks: Iterable[Chunk], doubled: Hashes) -> list[Double]:
    """The ids behind the hashes; two ids that merely share a hash are no double."""
    places: dict[str, list[Place]] = {}
    for chunk in chunks:
        data = await _read(files, chunk)
        if not np.isin(decode_hashes(data), doubled).any():
            continue
        manifest = Manifest.decode(data)
        for at in np.flatnonzero(np.isin(id_hashes(manifest.ids), doubled)).tolist():
            place = Place(manifest.row_numbers[at], chunk.plan.number, manifest.passages[at])
            places.setdefault(manifest.ids[at], []).append(place)
    return [
        Double(row_id, tuple(sorted(found, key=lambda place: place.row_number)))
        for row_id, found in places.items()
        if len(found) > 1
    ]


async def _read(files: FileStore, chunk: Chunk) -> bytes:
    return await files.read(str(chunk.files.manifest))
