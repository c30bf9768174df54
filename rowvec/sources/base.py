"""Where rows come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping

from rowvec.errors import SourceChanged, Unavailable
from rowvec.filestores.base import FileStore
from rowvec.spec import SourcePin


class Source(ABC):
    """Bytes of a table, pinned to one version so that all readers see the same ones.

    `block_bytes` is how much the planner reads at a time: more where every read costs a round trip.
    """

    block_bytes = 2 << 20

    @classmethod
    @abstractmethod
    def open(cls, settings: Mapping[str, str], files: FileStore) -> Source:
        """A source configured from the settings (names as in `.env.example`)."""

    @abstractmethod
    async def pin(self, ref: str) -> SourcePin:
        """The current version of what `ref` names.

        Raises SourceNotFound, SourceForbidden, or NotConfigured; each names `ref` and the remedy.
        """

    @abstractmethod
    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        """Exactly the bytes `start` (incl.) to `min(end, pin.size)` (excl.) of the pinned version.

        Raises SourceChanged if the bytes may be other than those that were pinned (also if the
        source is gone or shorter now), and RetryLater for what may pass. Never returns less.
        """

    async def ping(self) -> None:
        """Raises NotConfigured, PauseNeeded or RetryLater, in words, where nothing could be read from it."""
        return


class ListedSource(Source):
    """A source that can tell what there is."""

    @abstractmethod
    async def names(self, most: int) -> list[str]:
        """Up to `most` refs that `pin` takes, in order of their names; a later one may be gone by then.

        Raises what `pin` raises, and RetryLater.
        """


class BrokeOff(Unavailable):
    """A table that had begun to come ended before it was whole. It may come whole another time."""


class ExportedSource(Source):
    """A source that gives a table only whole, and another one each time it is asked.

    So it is exported once, into the file store, and that copy is what is pinned and read. `pin` asks no
    more than whether `ref` may be exported; its pin has no version and no size. Whoever exports names the
    copy in `version` and gives its `size`.
    """

    def __init__(self, files: FileStore) -> None:
        self._files = files

    @abstractmethod
    def export(self, pin: SourcePin, allow_row_cap: bool) -> AsyncGenerator[bytes]:
        """The table as CSV in UTF-8, in blocks of some MiB. They count only if it ends without an error.

        `allow_row_cap` takes a number of rows at which the provider is known to cut for a true one.
        Raises RetryLater for what may pass (BrokeOff where it ended midway), PauseNeeded, SourceChanged
        where `ref` is gone, and SourceDamaged where what came is no table, or not all of it.
        """

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        data = await self._files.read_unchanged(pin.version, pin.size, start, end)
        if data is None:
            raise _gone(pin)
        return data


def _gone(pin: SourcePin) -> SourceChanged:
    return SourceChanged(
        f"The export of {pin.kind} '{pin.ref}', '{pin.version}' in the file store, is gone or is not the one "
        "that was planned. Submit it again."
    )
