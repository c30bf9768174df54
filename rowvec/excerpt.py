"""A table as plain UTF-8, or its beginning, for whoever only looks at it: in a file without a name.

It is gone with the process that made it, however that ends, and nobody else ever sees it.
"""

from __future__ import annotations

import asyncio
import errno
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from rowvec.errors import DiskLow, Unavailable
from rowvec.filestores.base import FileStore
from rowvec.machine import Machine
from rowvec.sources.base import Source
from rowvec.spec import SourcePin, TaskSpec
from rowvec.spool import blocks_of, converted, unpacker_of


class Excerpt(Source):
    """Text that is written first and then read as any source is.

    `size` are its bytes, `used` the bytes of the source that it was made of; `whole` says that nothing
    of the source is missing.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._turn = threading.Lock()
        self.size = 0
        self.used = 0
        self.whole = True

    @classmethod
    def open(cls, settings: Mapping[str, str], files: FileStore) -> Excerpt:  # noqa: ARG003 (the contract's signature)
        """An empty one, on the disk of DATA_DIR."""
        folder = Path(settings.get("DATA_DIR", "."))
        with _translated():
            folder.mkdir(parents=True, exist_ok=True)
            return cls(tempfile.TemporaryFile(dir=folder))

    async def pin(self, ref: str) -> SourcePin:
        return SourcePin("excerpt", ref, str(self.size), self.size)

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        return await asyncio.to_thread(self._read, start, min(end, pin.size))

    async def write(self, text: bytes) -> None:
        await asyncio.to_thread(self._write, text)
        self.size += len(text)

    def whole_bytes(self, source_bytes: int) -> int:
        """What a source of so many bytes comes to as text, in proportion where only some of it is here."""
        return self.size if self.whole else max(self.size + 1, round(self.size * source_bytes / self.used))

    def close(self) -> None:
        """Give the disk its room back."""
        with self._turn:
            self._file.close()

    def _read(self, start: int, end: int) -> bytes:
        with self._turn, _translated():
            self._file.seek(start)
            return self._file.read(max(end - start, 0))

    def _write(self, text: bytes) -> None:
        with self._turn, _translated():
            self._file.write(text)


@asynccontextmanager
async def excerpt(machine: Machine, spec: TaskSpec, most_bytes: int) -> AsyncGenerator[Excerpt]:
    """The text of a source up to `most_bytes` of it (and at most a block more), as long as this lasts.

    Raises what Source.read raises, SourceDamaged where what was looked at cannot be unpacked or decoded,
    and DiskLow.
    """
    made = Excerpt.open(machine.settings, machine.files)
    try:
        await _fill(made, machine, spec, most_bytes)
        yield made
    finally:
        await asyncio.to_thread(made.close)


@asynccontextmanager
async def received(
    machine: Machine, parts: AsyncGenerator[bytes], most_bytes: int | None = None
) -> AsyncGenerator[Excerpt]:
    """A table that comes in parts, as long as this lasts: all of it, or up to `most_bytes` (and at most a
    part more). Raises what they raise, and DiskLow."""
    made = Excerpt.open(machine.settings, machine.files)
    try:
        async with aclosing(parts), aclosing(machine.disk.watched(parts)) as watched:
            async for part in watched:
                if most_bytes is not None and made.size >= most_bytes:
                    made.whole = False
                    break
                await made.write(part)
        yield made
    finally:
        await asyncio.to_thread(made.close)


async def _fill(made: Excerpt, machine: Machine, spec: TaskSpec, most_bytes: int) -> None:
    given = _Given(blocks_of(machine.source(spec.source.kind), spec.source))
    unpacker = unpacker_of(spec.dialect, machine.limits)
    async with (
        aclosing(given.blocks()) as blocks,
        aclosing(converted(blocks, spec.dialect, unpacker)) as text,
        aclosing(machine.disk.watched(text)) as parts,
    ):
        async for part in parts:
            if made.size >= most_bytes:
                made.whole = False
                return
            await made.write(part)
            made.used = given.size - (unpacker.left if unpacker else 0)


class _Given:
    """Counts what a source gives."""

    def __init__(self, blocks: AsyncIterator[bytes]) -> None:
        self._blocks = blocks
        self.size = 0

    async def blocks(self) -> AsyncGenerator[bytes]:
        async for block in self._blocks:
            self.size += len(block)
            yield block


@contextmanager
def _translated() -> Iterator[None]:
    """The system's errors in the machine's words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskLow("The disk of DATA_DIR is full. Make room on it, then ask again.") from error
        raise Unavailable(
            f"DATA_DIR cannot be written: {error}. A table that is exported, or is not plain UTF-8, is put "
            "there to be looked at."
        ) from error
