"""Tables that lie in the file store: uploads, and the copies that are made of other sources."""

from __future__ import annotations

from collections.abc import Mapping

from rowvec.errors import InvalidRequest, SourceChanged, SourceNotFound
from rowvec.filestores.base import FileStore
from rowvec.sources.base import Source
from rowvec.spec import SourcePin


class StoredSource(Source):
    """Files of the file store by their names there.

    Each is written once, whole, and never changed, so its size is its version.
    """

    kind = "stored"
    noun = "stored file"

    def __init__(self, files: FileStore) -> None:
        self._files = files

    @classmethod
    def open(cls, settings: Mapping[str, str], files: FileStore) -> StoredSource:  # noqa: ARG003 (the contract's signature)
        return cls(files)

    def name_of(self, ref: str) -> str | None:
        """The file's name in the store, None for what names none."""
        return ref

    async def pin(self, ref: str) -> SourcePin:
        pin = await self.find(ref)
        if pin is None:
            raise SourceNotFound(
                f"There is no {self.noun} {ref!r}. Send the file in again, and use the id it is given."
            )
        return pin

    async def find(self, ref: str) -> SourcePin | None:
        """The pin, None where there is no such file."""
        size = await self._size(ref)
        return None if size is None else SourcePin(self.kind, ref, f"1:{size}", size)

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        name = self.name_of(pin.ref)
        try:
            data = None if name is None else await self._files.read_unchanged(name, pin.size, start, end)
        except InvalidRequest as error:  # no file can have that name, so there is none
            raise self.gone(pin.ref) from error
        if data is None:
            raise self.gone(pin.ref)
        return data

    def gone(self, ref: str) -> SourceChanged:
        return SourceChanged(
            f"The {self.noun} '{ref}' is gone or is not the one that was submitted. "
            "Send the file in again and submit it as a new task."
        )

    async def _size(self, ref: str) -> int | None:
        name = self.name_of(ref)
        try:
            return None if name is None else await self._files.size(name)
        except InvalidRequest:  # no file can have that name, so there is none
            return None
