"""The file store in an S3 bucket, which the workers of every host reach."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import obstore

from rowvec.bucket import Bucket, Found
from rowvec.errors import InvalidRequest, NotConfigured
from rowvec.filestores.base import FileStore

PART_BYTES = 16 << 20
"""A part of an upload: 10,000 of them, as many as S3 takes, are 160 GiB."""
PARTS_AT_ONCE = 2
_GRANTS = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket"
BLOCK_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}(/[A-Za-z0-9._-]{1,255})*")
_PREFIX = re.compile(r"[A-Za-z0-9._/-]*")
_LONGEST_NAME = 1024  # bytes of a whole key, with the store's own prefix


class S3Store(FileStore):
    """Files below a prefix of a bucket: `s3://bucket/prefix`, reached as the AWS settings say.

    An object is there whole or not at all. Names that no file can have raise InvalidRequest. What a killed
    process has left of an upload is seen by nobody; a lifecycle rule of the bucket should remove it.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> S3Store:
        scheme, _, place = url.partition("://")
        name, _, prefix = place.partition("/")
        if scheme != "s3" or not name:
            raise NotConfigured(f"'{url}' names no bucket. Write s3://bucket or s3://bucket/prefix.")
        return cls(Bucket(name, prefix.strip("/"), settings, "FILE_STORE_URL", _GRANTS))

    async def write(self, name: str, data: bytes) -> None:
        self._check(name)
        with self._bucket.translated(name):
            await obstore.put_async(self._bucket.store, name, data, use_multipart=False)

    async def write_stream(self, name: str, parts: AsyncIterator[bytes]) -> int:
        self._check(name)
        blocks = _blocks(parts)
        head: list[bytes] = []
        async for block in blocks:
            head.append(block)
            if sum(map(len, head)) >= PART_BYTES:
                return await self._upload(name, head, blocks)
        whole = b"".join(head)
        await self.write(name, whole)
        return len(whole)

    async def _upload(self, name: str, head: list[bytes], rest: AsyncIterator[bytes]) -> int:
        upload = _Upload(self._bucket, name)
        size = 0
        try:
            for block in head:
                size += await upload.give(block)
            async for block in rest:
                size += await upload.give(block)
            await upload.end()
        except BaseException:
            await upload.abandon()
            raise
        return size

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        self._check(name)
        if start < 0 or (end is not None and end < 0):
            raise InvalidRequest(
                f"Bytes {start} to {end} of '{name}': a range begins and ends at 0 or later."
            )
        if end is not None and end <= start:
            await self._bucket.look(name)
            return b""
        return await self._bucket.read(name, start, end)

    async def size(self, name: str) -> int | None:
        found = await self._find(name)
        return None if found is None else found.size

    async def written_at(self, name: str) -> float | None:
        found = await self._find(name)
        return None if found is None else found.written_at

    async def _find(self, name: str) -> Found | None:
        self._check(name)
        try:
            return await self._bucket.look(name)
        except FileNotFoundError:
            return None

    async def names(self, prefix: str) -> list[str]:
        folder, slash, _ = prefix.rpartition("/")
        if not _PREFIX.fullmatch(prefix):
            raise InvalidRequest(f"No name begins with '{prefix}': {_RULE}")
        if slash:
            self._check(folder)
        keys = [key async for key in self._bucket.keys(folder)]
        return sorted(key for key in keys if key.startswith(prefix) and _NAME.fullmatch(key))

    async def delete(self, name: str) -> None:
        self._check(name)
        with suppress(FileNotFoundError), self._bucket.translated(name):
            await obstore.delete_async(self._bucket.store, name)

    async def ping(self) -> None:
        await self._bucket.ping()

    def _check(self, name: str) -> None:
        whole = f"{self._bucket.prefix}/{name}"
        parts = name.split("/")
        if len(whole) > _LONGEST_NAME or not _NAME.fullmatch(name) or "." in parts or ".." in parts:
            raise InvalidRequest(f"'{name[:200]}' cannot be the name of a file: {_RULE}")


_RULE = (
    "use letters, digits and . _ - in parts divided by /, none of them . or .., "
    f"each at most 255 and together at most {_LONGEST_NAME} characters."
)


async def _blocks(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The parts joined to blocks of BLOCK_BYTES or somewhat more, the last one less."""
    block = bytearray()
    async for part in parts:
        block += part
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


class _Abandoned(Exception):
    """Told to the client in place of a block, so that it takes back the parts it has sent."""


class _Upload:
    """An upload in parts, of blocks that are given to it one by one.

    The client runs in a task of its own, which is never cancelled: it would leave its parts behind.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._given: asyncio.Queue[bytes | _Abandoned | None] = asyncio.Queue(1)
        self._running = asyncio.ensure_future(self._run(bucket, name))

    async def give(self, block: bytes | None) -> int:
        """Returns when the block is on its way, with its size. Raises what the upload raised meanwhile."""
        giving = asyncio.ensure_future(self._given.put(block))
        try:
            await asyncio.wait({giving, self._running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving.cancel()
        if self._running.done():
            self._running.result()
        return len(block or b"")

    async def end(self) -> None:
        """All has been given. Returns when the file is there."""
        await self.give(None)
        await asyncio.shield(self._running)

    async def abandon(self) -> None:
        """Leave nothing behind."""
        while not self._given.empty():
            self._given.get_nowait()
        self._given.put_nowait(_Abandoned())
        await asyncio.wait({self._running})
        self._running.exception()  # whoever abandons it has an error of their own to tell

    async def _run(self, bucket: Bucket, name: str) -> None:
        with suppress(_Abandoned), bucket.translated(name):
            await obstore.put_async(
                bucket.store,
                name,
                self._taken(),
                use_multipart=True,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )

    async def _taken(self) -> AsyncIterator[bytes]:
        while (block := await self._given.get()) is not None:
            if isinstance(block, _Abandoned):
                raise block
            yield block
