"""The UTF-8 copy of a source that is compressed or in another encoding, made once by whoever plans it.

Offsets of such a task (of the header, of chunks, of rejected rows) are those of the copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from rowvec.encoding import UTF8, ToUtf8, compression_of, encoding_of
from rowvec.errors import LeaseLost
from rowvec.lease import Lease
from rowvec.machine import Limits, Machine
from rowvec.model import Task, TaskState
from rowvec.retry import outlast
from rowvec.sources.base import Source
from rowvec.sources.stored import StoredSource
from rowvec.spec import Dialect, SourcePin, TaskSpec
from rowvec.unpack import Unpacker, unpacked

READ_BYTES = 4 << 20
FOR_GOOD = (TaskState.COMPLETED, TaskState.CANCELLED)
"""A task that failed keeps its copy for the retry."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a source as UTF-8, whether they are all (`final`), and how they were spelt."""

    head: bytes
    final: bool
    encoding: str
    compression: str


async def beginning(
    source: Source, pin: SourcePin, declared: str | None, size: int, max_decompressed_bytes: int
) -> Beginning:
    """As much of the source as `size` bytes of it give, unpacked if need be.

    Raises what Source.read raises, InvalidRequest for a declared encoding that cannot be, and
    SourceDamaged where these bytes are not what they begin as.
    """
    head = await source.read(pin, 0, size)
    final = len(head) >= pin.size
    compression = compression_of(head)
    if compression:
        head, final = await _unpacked_head(source, pin, compression, size, max_decompressed_bytes)
    encoding = encoding_of(head, declared)
    if encoding != UTF8:
        head = _to_utf8(encoding, compression).feed(head, final)
    return Beginning(head, final, encoding, compression)


async def _unpacked_head(
    source: Source, pin: SourcePin, compression: str, size: int, most_bytes: int
) -> tuple[bytes, bool]:
    head = b""
    unpacker = Unpacker(compression, most_bytes)
    async with aclosing(unpacked(blocks_of(source, pin), unpacker)) as pieces:
        async for piece in pieces:
            head += piece
            if len(head) > size:
                return head[:size], False
    return head, True


async def blocks_of(source: Source, pin: SourcePin) -> AsyncGenerator[bytes]:
    """The pinned source from its beginning to its end."""
    for start in range(0, pin.size, READ_BYTES):
        yield await source.read(pin, start, start + READ_BYTES)


def _to_utf8(encoding: str, compression: str) -> ToUtf8:
    return ToUtf8(encoding, "the unpacked source" if compression else "the source")


def copy_name(task_id: str) -> str:
    return f"tasks/{task_id}/source.csv"


async def opened(machine: Machine, task_id: str, spec: TaskSpec) -> tuple[Source, TaskSpec]:
    """Where the task's table is read from, and the spec with the pin to read it by.

    Raises SourceChanged where there should be a copy and is none.
    """
    if not spec.dialect.copied:
        return machine.source(spec.source.kind), spec
    copies, name = StoredSource(machine.files), copy_name(task_id)
    pin = await copies.find(name)
    if pin is None:
        raise copies.gone(name)
    return copies, replace(spec, source=pin)


async def ensure_copy(machine: Machine, lease: Lease) -> None:
    """Make the copy of the claimed task's source, if it needs one and has none: a copy is whole or absent.

    Raises SourceDamaged where the source cannot be unpacked or decoded, what Source.read raises, and
    LeaseLost also where the task is held meanwhile.
    """
    task = lease.claim.task
    name = copy_name(task.id)
    if not task.spec.dialect.copied or await machine.files.size(name) is not None:
        return
    dialect = task.spec.dialect
    unpacker = unpacker_of(dialect, machine.limits)
    async with (
        aclosing(_claimed_blocks(machine, lease)) as blocks,
        aclosing(converted(blocks, dialect, unpacker)) as text,
    ):
        await machine.files.write_stream(name, text)
    if (await machine.ledger.task(task.id)).state in FOR_GOOD:  # it ended while a lost lease was not noticed
        await drop_copy(machine, task)


async def drop_copy(machine: Machine, task: Task) -> None:
    """Remove the copy of a task that has ended for good: nothing reads its source any more."""
    if task.spec.dialect.copied:
        await machine.files.delete(copy_name(task.id))


def unpacker_of(dialect: Dialect, limits: Limits) -> Unpacker | None:
    """What a source of this dialect is to be unpacked by, if it is."""
    return Unpacker(dialect.compression, limits.max_decompressed_bytes) if dialect.compression else None


async def converted(
    blocks: AsyncIterator[bytes], dialect: Dialect, unpacker: Unpacker | None
) -> AsyncGenerator[bytes]:
    """The blocks of a source as UTF-8. Raises SourceDamaged where they are not as the dialect says."""
    if unpacker:
        blocks = unpacked(blocks, unpacker)
    if dialect.encoding == UTF8:
        async for block in blocks:
            yield block
        return
    text = _to_utf8(dialect.encoding, dialect.compression)
    async for block in blocks:
        yield await asyncio.to_thread(text.feed, block, False)
    yield text.feed(b"", True)


async def _claimed_blocks(machine: Machine, lease: Lease) -> AsyncGenerator[bytes]:
    """The pinned source, for as long as this claim holds and nobody holds the task."""
    task = lease.claim.task
    source, pin = machine.source(task.spec.source.kind), task.spec.source
    for start in range(0, pin.size, READ_BYTES):
        await lease.check()
        if hold := (await machine.ledger.task(task.id)).hold:
            raise LeaseLost(f"task {task.id} is {hold}")
        yield await outlast(lease, partial(source.read, pin, start, start + READ_BYTES))
