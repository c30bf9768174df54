"""The export of a table that is given only whole: made once, by whoever plans, before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from rowvec.errors import LeaseLost, RequestRefused, SourceDamaged, TaskFailed
from rowvec.intake import closed, wished
from rowvec.lease import Lease
from rowvec.machine import Machine
from rowvec.model import Task
from rowvec.retry import outlast
from rowvec.sources.base import BrokeOff, ExportedSource
from rowvec.spec import SourcePin, TaskSpec

EXPORTS = 3
"""How often one claim lets an export begin that then breaks off midway."""
LOOK_EVERY_SECONDS = 5.0


async def ensure_export(machine: Machine, lease: Lease) -> TaskSpec:
    """The claimed task's spec, closed. Where its table must be exported, that is done here.

    A killed export leaves nothing and is made again, a finished one is used. The file carries the fence of
    who made it, so one that comes late replaces none; which one counts is in the ledger.
    Raises what ExportedSource.export raises, TaskFailed where the table is not what the request takes it
    for, and LeaseLost also where the task is held meanwhile.
    """
    task = lease.claim.task
    source = machine.source(task.spec.source.kind)
    if task.spec.wish is None or not isinstance(source, ExportedSource):
        return task.spec
    pin = await _finished(machine, task) or await _exported(machine, lease, source)
    spec = await _closed(machine, replace(task.spec, source=pin), source)
    await machine.ledger.pinned(task.id, lease.claim.fence, spec)
    return spec


async def exported(machine: Machine, source: ExportedSource, spec: TaskSpec) -> AsyncGenerator[bytes]:
    """The table of an open spec. Raises what ExportedSource.export raises, and SourceDamaged for too much."""
    most, size = machine.limits.max_decompressed_bytes, 0
    async with aclosing(source.export(spec.source, wished(spec).allow_row_cap)) as blocks:
        async for block in blocks:
            size += len(block)
            if size > most:
                raise SourceDamaged(
                    f"The export is larger than the {most} bytes that this service takes "
                    "(MAX_DECOMPRESSED_BYTES). Make the question smaller, or raise that setting."
                )
            yield block


async def drop_exports(machine: Machine, task: Task) -> None:
    """Remove all exports of a task that has ended for good: nothing reads its source any more."""
    prefix = _prefix(task.id)
    if task.spec.wish is not None or task.spec.source.version.startswith(prefix):
        for name in await machine.files.names(prefix):
            await machine.files.delete(name)


def _prefix(task_id: str) -> str:
    return f"tasks/{task_id}/export-"


async def _finished(machine: Machine, task: Task) -> SourcePin | None:
    """The export that another claim has left, if any did."""
    for name in reversed(await machine.files.names(_prefix(task.id))):
        size = await machine.files.size(name)
        if size is not None:
            return replace(task.spec.source, version=name, size=size)
    return None


async def _exported(machine: Machine, lease: Lease, source: ExportedSource) -> SourcePin:
    """Weather before the first byte is sat out; a reply that breaks off midway is asked for a few times."""
    pin = lease.claim.task.spec.source
    name = f"{_prefix(lease.claim.task.id)}{lease.claim.fence}.csv"
    attempt = _Attempt(machine, lease, source)
    size = await outlast(lease, partial(attempt.write, name))
    return replace(pin, version=name, size=size)


class _Attempt:
    def __init__(self, machine: Machine, lease: Lease, source: ExportedSource) -> None:
        self._machine = machine
        self._lease = lease
        self._source = source
        self._broken_off = 0

    async def write(self, name: str) -> int:
        """The size of the export, once it is whole in the file store."""
        try:
            async with aclosing(self._blocks()) as blocks:
                return await self._machine.files.write_stream(name, self._machine.disk.watched(blocks))
        except BrokeOff as error:
            self._broken_off += 1
            if self._broken_off < EXPORTS:
                raise
            raise SourceDamaged(
                f"The export broke off {EXPORTS} times. The last time: {error.message} Then retry the task."
            ) from error

    async def _blocks(self) -> AsyncGenerator[bytes]:
        """The table, for as long as this claim holds and nobody holds the task."""
        async with aclosing(exported(self._machine, self._source, self._lease.claim.task.spec)) as blocks:
            while (block := await self._next(blocks)) is not None:
                yield block

    async def _next(self, blocks: AsyncGenerator[bytes]) -> bytes | None:
        """The next block, None at the end. A query may run for long before its first row comes."""
        coming = asyncio.ensure_future(anext(blocks, None))
        try:
            while not coming.done():
                await self._still_ours()
                await asyncio.wait({coming}, timeout=LOOK_EVERY_SECONDS)
            return coming.result()
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.wait({coming})

    async def _still_ours(self) -> None:
        await self._lease.check()
        task = self._lease.claim.task
        if hold := (await self._machine.ledger.task(task.id)).hold:
            raise LeaseLost(f"task {task.id} is {hold}")


async def _closed(machine: Machine, spec: TaskSpec, source: ExportedSource) -> TaskSpec:
    """The spec with what its table tells. An export that does not fit is not kept: a retry makes another."""
    try:
        return await closed(machine, spec, source)
    except (RequestRefused, SourceDamaged) as error:
        await machine.files.delete(spec.source.version)
        raise TaskFailed(f"{error.message} Nothing was embedded.") from error
