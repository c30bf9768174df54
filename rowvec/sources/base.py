"""Where rows come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from rowvec.filestores.base import FileStore
from rowvec.model import SourcePin


class Source(ABC):
    """Bytes of a table, pinned to one version so that all readers see the same ones.

    `block_bytes` is how much the planner reads at a time: more where every read costs a round trip.
    """

    block_bytes = 4 << 20

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
