"""The body of an export on its way in: unpacked, and known to have arrived to its end."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator

from httpx2 import Response

from rowvec.errors import SourceDamaged
from rowvec.sources.base import BrokeOff

PIECE_BYTES = 1 << 20
BLOCK_BYTES = 4 << 20
_GZIP = 16 + zlib.MAX_WBITS


async def received(answer: Response) -> AsyncGenerator[bytes]:
    """The body in blocks of up to BLOCK_BYTES, unpacked.

    An HTTP client does not notice where a gzip stream lacks its end, and Metabase's own time-out leaves
    it out under a 200: what tells a whole body from a cut one is the stream's trailer, or, where it is not
    packed, that it says where it ends. Raises BrokeOff where it did, and SourceDamaged where
    nothing tells; the transport's own errors pass.
    """
    if answer.headers.get("content-encoding", "").lower() == "gzip":
        body = _unpacked(answer)
    else:
        _check_it_ends(answer)
        body = answer.aiter_raw(PIECE_BYTES)
    block = bytearray()
    async for piece in body:
        block += piece
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _check_it_ends(answer: Response) -> None:
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise SourceDamaged(f"The export came packed as {encoding}, which nobody asked for.")
    if "content-length" not in answer.headers and "transfer-encoding" not in answer.headers:
        raise SourceDamaged(
            "The export came in a way that does not tell whether it is whole: neither packed nor with its "
            "length. Is there an old proxy before Metabase? Let it pass gzip through."
        )


async def _unpacked(answer: Response) -> AsyncGenerator[bytes]:
    unpacker = zlib.decompressobj(_GZIP)
    taken = 0
    async for piece in answer.aiter_raw(PIECE_BYTES):
        while piece:
            try:
                text = await asyncio.to_thread(unpacker.decompress, piece, BLOCK_BYTES)
            except zlib.error as error:
                raise BrokeOff(f"The export is damaged after {taken:,} bytes: {error}.") from error
            piece = unpacker.unconsumed_tail
            taken += len(text)
            yield text
        if unpacker.unused_data:
            raise SourceDamaged(f"Something follows the end of the export, after {taken:,} bytes.")
    if not unpacker.eof:
        raise BrokeOff(
            f"Metabase cut the export off after {taken:,} bytes, and said nothing: most likely a time-out, "
            "of its query, its server (MB_JETTY_ASYNC_RESPONSE_TIMEOUT) or a proxy. Raise it, or make the "
            "question smaller."
        )
