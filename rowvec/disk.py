"""Is there room left on the disk of the data folder?"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

from rowvec.errors import DiskLow

LOOK_EVERY_SECONDS = 3.0
WATCHED_BYTES = 16 << 20
"""Bytes of a stream between two looks at the disk."""


def _free(folder: Path) -> int:
    """Free bytes of the file system that the folder is on, or will be once it is made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


class Disk:
    """The file system of `folder`, of which `floor` bytes stay free; a floor of 0 looks at nothing."""

    def __init__(
        self,
        folder: Path = Path(),
        floor: int = 0,
        free: Callable[[Path], int] = _free,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._floor = floor
        self._free = free
        self._clock = clock
        self._fine_until = float("-inf")

    async def check(self) -> None:
        """Raises DiskLow below the floor. What was fine is believed for a few seconds, what was low never."""
        if self._clock() < self._fine_until:
            return
        await self.require(0)
        self._fine_until = self._clock() + LOOK_EVERY_SECONDS

    async def require(self, size: int) -> None:
        """Raises DiskLow where `size` bytes more would leave less than the floor."""
        if not self._floor:
            return
        free = await asyncio.to_thread(self._free, self._folder)
        if free - size < self._floor:
            raise DiskLow(self._words(free, size))

    async def watched(self, parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """The parts of a stream to be written. Raises DiskLow as soon as it has brought the disk too low."""
        since = 0
        async for part in parts:
            since += len(part)
            if since >= WATCHED_BYTES:
                await self.require(len(part))
                since = 0
            yield part

    def _words(self, free: int, size: int) -> str:
        needed = f", {size / 1e6:,.1f} MB are to be written" if size else ""
        return (
            f"The disk of {self._folder} has {free / 1e6:,.1f} MB free{needed}, and "
            f"{self._floor / 1e6:,.1f} MB must stay free (MIN_FREE_BYTES). "
            "Make room on it; then resume the task, or send the file again."
        )
