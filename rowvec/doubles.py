"""Ids that stand in more than one chunk of a task, found in bounded memory by their hashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from rowvec.filestores.base import FileStore
from rowvec.manifest import Manifest, Written, decode_hashes, id_hashes

PARTITION = 125_000
"""Rows whose hashes are held at once, and"""
RESOLVED = 50_000
"""doubled ids that are: what bounds the memory of settling."""

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


async def find_doubles(
    files: FileStore, manifests: Sequence[Written], rows: int
) -> AsyncIterator[list[Double]]:
    """Doubled ids of these chunks, some at a time; `rows` says about how many rows they hold.

    Each manifest is read once, and once more for every RESOLVED doubles, however many rows there are.
    """
    with TemporaryDirectory(prefix="doubles-") as folder:
        parts = _Parts(Path(folder), max(1, -(-rows // PARTITION)))
        for manifest in manifests:
            parts.add(decode_hashes(await files.read(manifest.file)))
        gathered = _gathered(parts.doubled())
        while (doubled := await asyncio.to_thread(next, gathered, None)) is not None:
            yield await _resolve(files, manifests, doubled)


class _Parts:
    """Hashes parted by their value, each part in a file of its own until it is looked at.

    No file is open for longer than it is written: there are two thousand for a billion rows.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._count = count
        self._paths = [folder / str(part) for part in range(count)]
        self._held: list[Hashes] = []

    def add(self, hashes: Hashes) -> None:
        self._held.append(hashes)
        if sum(map(len, self._held)) >= PARTITION:
            self._put_away()

    def _put_away(self) -> None:
        hashes = np.concatenate([np.empty(0, np.uint64), *self._held])
        self._held.clear()
        part_of = hashes % np.uint64(self._count)
        order = np.argsort(part_of, kind="stable")
        borders = np.searchsorted(part_of[order], np.arange(1, self._count, dtype=np.uint64))
        for path, part in zip(self._paths, np.split(hashes[order], borders), strict=True):
            with path.open("ab") as file:
                file.write(part.tobytes())

    def doubled(self) -> Iterator[Hashes]:
        """Of each part the hashes that came more than once."""
        self._put_away()
        for path in self._paths:
            hashes = np.fromfile(path, np.uint64)
            path.unlink()
            hashes.sort()
            yield np.unique(hashes[1:][hashes[1:] == hashes[:-1]])


def _gathered(parts: Iterable[Hashes]) -> Iterator[Hashes]:
    """The same hashes in as few arrays as there may be of about RESOLVED."""
    gathered = np.empty(0, np.uint64)
    for part in parts:
        gathered = np.concatenate((gathered, part))
        while len(gathered) >= RESOLVED:
            yield gathered[:RESOLVED]
            gathered = gathered[RESOLVED:]
    if len(gathered):
        yield gathered


async def _resolve(files: FileStore, manifests: Iterable[Written], doubled: Hashes) -> list[Double]:
    """The ids behind the hashes; two ids that merely share a hash are no double."""
    places: dict[str, list[Place]] = {}
    for written in manifests:
        data = await files.read(written.file)
        if not np.isin(decode_hashes(data), doubled).any():
            continue
        manifest = Manifest.decode(data)
        for at in np.flatnonzero(np.isin(id_hashes(manifest.ids), doubled)).tolist():
            place = Place(manifest.row_numbers[at], written.chunk, manifest.passages[at])
            places.setdefault(manifest.ids[at], []).append(place)
    return [
        Double(row_id, tuple(sorted(found, key=lambda place: place.row_number)))
        for row_id, found in places.items()
        if len(found) > 1
    ]
