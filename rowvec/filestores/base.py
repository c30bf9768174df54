"""Where files live that every worker must reach: uploads, manifests, rejected rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping


class FileStore(ABC):
    """Named files. Names are relative, `/`-separated, of letters, digits, `._-`."""

    @classmethod
    @abstractmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> FileStore:
        """A store at `url`, for example `file:///var/lib/vectordb/files`."""

    @abstractmethod
    async def write(self, name: str, data: bytes) -> None:
        """Store `data` under `name`: whole or not at all, durable on return, replacing what was."""

    @abstractmethod
    async def write_stream(self, name: str, parts: AsyncIterator[bytes]) -> int:
        """As `write`, from parts in bounded memory; returns the size. A raising iterator leaves nothing."""

    @abstractmethod
    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Bytes `start` to `end` (or the end). Raises FileNotFoundError."""

    async def read_unchanged(self, name: str, size: int, start: int, end: int) -> bytes | None:
        """Bytes `start` to `end` of a file that has `size`; None where it has not, or is gone."""
        if await self.size(name) != size:
            return None
        end = min(end, size)
        if start >= end:
            return b""
        try:
            data = await self.read(name, start, end)
        except FileNotFoundError:
            return None
        return data if len(data) == end - start else None

    @abstractmethod
    async def size(self, name: str) -> int | None:
        """Size in bytes, None where there is no such file."""

    async def written_at(self, name: str) -> float | None:  # noqa: ARG002 (the contract's signature)
        """When the file was written, in seconds since the epoch; None where there is none.

        A store that cannot tell says None of every file: then nothing is ever too old.
        """
        return None

    @abstractmethod
    async def names(self, prefix: str) -> list[str]:
        """All names that begin with `prefix`, sorted."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Remove a file; no error where there is none."""

    @abstractmethod
    async def ping(self) -> None:
        """Raises Unavailable or CredentialsRefused, in words, when it does not answer."""
