"""The file store in a folder of this machine, or of a file system that all workers mount."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rowvec.errors import CredentialsRefused, DiskLow, InvalidRequest, NotConfigured, Unavailable
from rowvec.filestores.base import FileStore

_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}(/[A-Za-z0-9._-]{1,255})*")
_PREFIX = re.compile(r"[A-Za-z0-9._/-]*")
_LONGEST_NAME = 1024
_UNFINISHED = "~unfinished"  # the tilde keeps it out of the names a caller can say
_ABANDONED_AFTER = 24 * 3600.0  # seconds without a write


class FolderStore(FileStore):
    """Files below one folder: `file:///var/lib/vectordb/files` or `file://relative/to/here`.

    What is being written lies in a folder of its own until it is whole and on the disk, then takes
    its name in one step. Names that no file can have raise InvalidRequest.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._unfinished = self._root / _UNFINISHED
        self._tidied = False
        self._tidying = threading.Lock()

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> FolderStore:  # noqa: ARG003 (the contract's signature)
        path = url.removeprefix("file://")
        if path == url or not path:
            raise NotConfigured(
                f"'{url}' names no folder. Write file:///absolute/folder or file://relative/folder."
            )
        return cls(Path(path))

    async def write(self, name: str, data: bytes) -> None:
        target = self._path(name)
        await asyncio.to_thread(self._write, target, data)

    async def write_stream(self, name: str, parts: AsyncIterator[bytes]) -> int:
        target = self._path(name)
        unfinished = self._new()
        try:
            await asyncio.to_thread(self._begin, unfinished)
            async for part in parts:
                await asyncio.to_thread(unfinished.append, part)
            return await asyncio.to_thread(unfinished.become, target)
        finally:
            unfinished.discard()

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        if start < 0 or (end is not None and end < 0):
            raise InvalidRequest(
                f"Bytes {start} to {end} of '{name}': a range begins and ends at 0 or later."
            )
        return await asyncio.to_thread(_read, self._path(name), name, start, end)

    async def size(self, name: str) -> int | None:
        return await asyncio.to_thread(_size, self._path(name))

    async def written_at(self, name: str) -> float | None:
        return await asyncio.to_thread(_written_at, self._path(name))

    async def names(self, prefix: str) -> list[str]:
        folder, slash, _ = prefix.rpartition("/")
        if not _PREFIX.fullmatch(prefix):
            raise InvalidRequest(f"No name begins with '{prefix}': {_RULE}")
        start = self._path(folder) if slash else self._root
        return await asyncio.to_thread(self._names, start, prefix)

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(_delete, self._path(name))

    async def ping(self) -> None:
        await asyncio.to_thread(self._probe)

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name) or "." in parts or ".." in parts:
            raise InvalidRequest(f"'{name[:200]}' cannot be the name of a file: {_RULE}")
        return self._root.joinpath(*parts)

    def _write(self, target: Path, data: bytes) -> None:
        unfinished = self._new()
        try:
            self._begin(unfinished)
            unfinished.append(data)
            unfinished.become(target)
        finally:
            unfinished.discard()

    def _new(self) -> _Unfinished:
        return _Unfinished(self._unfinished / uuid.uuid4().hex)

    def _begin(self, unfinished: _Unfinished) -> None:
        with _translated():
            _make_folder(self._unfinished)
            self._tidy()
            unfinished.begin()

    def _tidy(self) -> None:
        """Once a process: remove what killed writers left behind long ago."""
        with self._tidying:
            if self._tidied:
                return
            self._tidied = True
        oldest = time.time() - _ABANDONED_AFTER
        for path in self._unfinished.iterdir():
            # Another process may be tidying, or finishing this one, at the same moment.
            try:
                if path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:
                continue

    def _names(self, start: Path, prefix: str) -> list[str]:
        with _translated():
            found = (path.relative_to(self._root).as_posix() for path in _files_below(start))
            return sorted(name for name in found if name.startswith(prefix) and _NAME.fullmatch(name))

    def _probe(self) -> None:
        unfinished = self._new()
        try:
            self._begin(unfinished)
            unfinished.append(b"?")
        finally:
            unfinished.discard()


_RULE = (
    "use letters, digits and . _ - in parts divided by /, none of them . or .., "
    f"each at most 255 and together at most {_LONGEST_NAME} characters."
)


class _Unfinished:
    """A file that has no name yet."""

    _file: BinaryIO

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._begun = self._unwanted = False

    def begin(self) -> None:
        self._file = self._path.open("xb")
        self._begun = True
        if self._unwanted:  # the caller was cancelled while this thread was on its way
            self.discard()

    def append(self, part: bytes) -> None:
        with _translated():
            self._file.write(part)
        self._size += len(part)

    def become(self, target: Path) -> int:
        """Give the file its name, once it is on the disk; returns its size."""
        with _translated():
            self._file.flush()
            os.fsync(self._file.fileno())
            _make_folder(target.parent)
            self._path.replace(target)
            _sync_folder(target.parent)
        return self._size

    def discard(self) -> None:
        """Leave nothing behind, unless the file has its name already.

        Short enough to be called on the event loop, where a cancelled caller could await no longer.
        """
        self._unwanted = True
        if self._begun:
            self._path.unlink(missing_ok=True)
            with _translated():
                self._file.close()


def _read(path: Path, name: str, start: int, end: int | None) -> bytes:
    with _translated():
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read() if end is None else file.read(max(end - start, 0))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise FileNotFoundError(f"There is no file '{name}'.") from error


def _size(path: Path) -> int | None:
    with _translated():
        return path.stat().st_size if path.is_file() else None


def _written_at(path: Path) -> float | None:
    with _translated():
        return path.stat().st_mtime if path.is_file() else None


def _delete(path: Path) -> None:
    with _translated():
        if path.is_file():
            path.unlink(missing_ok=True)


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder, onerror=_raise_unless_gone):
        folders[:] = [name for name in folders if name != _UNFINISHED]
        for name in files:
            yield Path(parent, name)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _make_folder(folder: Path) -> None:
    """Make the folder, and see to it that its entry in the one above survives a power cut."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated() -> Iterator[None]:
    """The one place where the system's errors become the machine's."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        where = f"{error.strerror} ({error.filename or 'the file store'})"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskLow(f"The disk of the file store is full: {where}. Make room.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise CredentialsRefused(f"The file store may not be written: {where}. Give access.") from error
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            raise InvalidRequest(f"A file and a folder would have the same name: {where}.") from error
        raise Unavailable(f"The file store does not answer: {where}.") from error
