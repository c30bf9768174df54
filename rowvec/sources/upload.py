"""Files that callers have sent in, kept in the file store."""

from __future__ import annotations

from collections.abc import Mapping

from rowvec.errors import SourceChanged, SourceNotFound
from rowvec.filestores.base import FileStore
from rowvec.model import SourcePin
from rowvec.sources.base import Source
from rowvec.uploads import is_upload_id, upload_name


class UploadSource(Source):
    """Uploads by their id: `uploads/<id>.csv`, written once and never changed, so its size is its version."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    @classmethod
    def open(cls, settings: Mapping[str, str], files: FileStore) -> UploadSource:  # noqa: ARG003 (the contract's signature)
        return cls(files)

    async def pin(self, ref: str) -> SourcePin:
        size = await self._files.size(upload_name(ref)) if is_upload_id(ref) else None
        if size is None:
            raise SourceNotFound(
                f"There is no upload {ref!r}. Upload the file again and use the id it is given."
            )
        return SourcePin("upload", ref, f"1:{size}", size)

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        end = min(end, pin.size)
        await self._check(pin)
        if start >= end:
            return b""
        try:
            data = await self._files.read(upload_name(pin.ref), start, end)
        except FileNotFoundError as error:
            raise _changed(pin) from error
        if len(data) != end - start:
            raise _changed(pin)
        return data

    async def _check(self, pin: SourcePin) -> None:
        if await self._files.size(upload_name(pin.ref)) != pin.size:
            raise _changed(pin)


def _changed(pin: SourcePin) -> SourceChanged:
    return SourceChanged(
        f"The upload '{pin.ref}' is gone or is not the one that was submitted. "
        "Upload the file again and submit its new id."
    )
