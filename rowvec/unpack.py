"""The bytes within a gzip or zstd source, unpacked in bounded memory under caps."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

import pyarrow as pa

from rowvec.errors import SourceDamaged

MAX_RATIO = 1000
RATIO_FREE_BYTES = 64 << 20
"""The ratio counts beyond so many unpacked bytes."""
RESERVE_BYTES = 4 << 20
_PIECE_BYTES = 64 << 10
_TAKE_BYTES = 1 << 20


async def unpacked(blocks: AsyncIterator[bytes], unpacker: Unpacker) -> AsyncGenerator[bytes]:
    """What is within these blocks, in pieces of up to about 1 MiB. Raises what `take` raises."""
    async for block in blocks:
        unpacker.give(block)
        while piece := await asyncio.to_thread(unpacker.take):
            yield piece
    unpacker.end()
    while piece := await asyncio.to_thread(unpacker.take):
        yield piece


class Unpacker:
    """Blocks in, pieces out. Holds RESERVE_BYTES and a block of what is packed, and one piece.

    `take` raises SourceDamaged where the blocks are cut off, damaged or followed by something else, where
    they unpack to more than `most_bytes`, and, past RATIO_FREE_BYTES, to more than MAX_RATIO times as many.
    """

    def __init__(self, compression: str, most_bytes: int) -> None:
        self._compression = compression
        self._most = most_bytes
        self._given = _Given(compression)
        self._stream = pa.CompressedInputStream(pa.PythonFile(self._given, mode="r"), compression)
        self._size = 0

    @property
    def left(self) -> int:
        """Bytes that were given and of which nothing was unpacked yet."""
        return self._given.left

    def give(self, block: bytes) -> None:
        self._given.add(block)

    def end(self) -> None:
        """Nothing more will be given."""
        self._given.final = True

    def take(self) -> bytes:
        """What can be unpacked now, empty where more must be given first, or where all is out."""
        pieces: list[bytes] = []
        size = 0
        while size < _TAKE_BYTES and (self._given.final or self._given.left >= RESERVE_BYTES):
            piece = self._piece()
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def _piece(self) -> bytes:
        try:
            piece: bytes = self._stream.read(_PIECE_BYTES)
        except OSError as error:
            raise SourceDamaged(
                f"The {self._compression} data cannot be unpacked past byte {self._size} of their content: "
                f"{error}. They are cut off, damaged, or something else follows them. "
                "Send the file again, whole."
            ) from error
        self._size += len(piece)
        self._check_caps()
        return piece

    def _check_caps(self) -> None:
        if self._size > self._most:
            raise SourceDamaged(
                f"The source unpacks to more than the {self._most} bytes that this service takes "
                "(MAX_DECOMPRESSED_BYTES). Split it, or raise that setting."
            )
        if self._size > RATIO_FREE_BYTES and self._size > MAX_RATIO * self._given.read_bytes:
            raise SourceDamaged(
                f"The source unpacks to more than {MAX_RATIO} times its size, as no table does but a bomb. "
                "If it is one, unpack it and submit that."
            )


class _Given(io.RawIOBase):
    """The packed blocks as a file that never waits.

    A thread that waited here for the event loop would hold a place in the pool that the source's own
    reading needs. So nothing is unpacked while less than RESERVE_BYTES are there: enough for a piece,
    unless they hold next to nothing.
    """

    def __init__(self, compression: str) -> None:
        super().__init__()
        self._compression = compression
        self._blocks: deque[memoryview] = deque()
        self.final = False
        self.left = 0
        self.read_bytes = 0

    def add(self, block: bytes) -> None:
        if block:
            self._blocks.append(memoryview(block))
            self.left += len(block)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if not self._blocks:
            if self.final:
                return b""
            raise SourceDamaged(
                f"{RESERVE_BYTES} bytes of the {self._compression} data hold next to nothing. "
                "Unpack the source and submit that."
            )
        block = self._blocks.popleft()
        part = block if size < 0 else block[:size]
        if len(part) < len(block):
            self._blocks.appendleft(block[len(part) :])
        self.left -= len(part)
        self.read_bytes += len(part)
        return bytes(part)
