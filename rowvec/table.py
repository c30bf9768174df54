"""A request's table as plain UTF-8, for whoever only looks at it: an estimate, a preview."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from rowvec.excerpt import Excerpt, excerpt, received
from rowvec.export import exported
from rowvec.intake import closed
from rowvec.machine import Machine
from rowvec.sources.base import ExportedSource, Source
from rowvec.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Table:
    """`source` reads it, by the pin in `spec`, which is closed.

    `size` are its bytes as UTF-8: more than can be read here where this is only its beginning.
    """

    source: Source
    spec: TaskSpec
    size: int

    @property
    def is_cut(self) -> bool:
        """Then the last record that can be read may not be whole."""
        return self.size > self.spec.source.size


@asynccontextmanager
async def opened_table(
    machine: Machine, spec: TaskSpec, most_bytes: int, most_exported: int | None = None
) -> AsyncGenerator[Table]:
    """The table of a checked spec, as long as this lasts; nothing of it outlasts that.

    Where it must be unpacked or decoded it is only its first `most_bytes` (and at most a block more),
    and where it must be exported its first `most_exported`, all of it unless given.
    Raises what Source.read and ExportedSource.export raise, what `closed` raises, SourceDamaged where what
    was looked at cannot be unpacked or decoded, and DiskLow.
    """
    source = machine.source(spec.source.kind)
    if isinstance(source, ExportedSource):
        async with received(machine, exported(machine, source, spec), most_exported) as text:
            pinned = await _pinned(spec, text)
            yield Table(text, await closed(machine, pinned, text), text.size + (not text.whole))
    elif spec.dialect.copied:
        async with excerpt(machine, spec, most_bytes) as text:
            yield Table(text, await _pinned(spec, text), text.whole_bytes(spec.source.size))
    else:
        yield Table(source, spec, spec.source.size)


async def _pinned(spec: TaskSpec, text: Excerpt) -> TaskSpec:
    return replace(spec, source=await text.pin(spec.source.ref))
