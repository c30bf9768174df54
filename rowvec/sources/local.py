"""Files in one folder of this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path, PurePosixPath

from rowvec.errors import (
    CredentialsRefused,
    NotConfigured,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
    Unavailable,
)
from rowvec.filestores.base import FileStore
from rowvec.sources.base import ListedSource
from rowvec.spec import SourcePin

_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LONGEST_REF = 1024


class LocalSource(ListedSource):
    """Regular files below LOCAL_FILES_DIR, reached by a relative path without one symbolic link.

    The version is the time of the last change, the inode and the size.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._root = Path(folder)

    @classmethod
    def open(cls, settings: Mapping[str, str], files: FileStore) -> LocalSource:  # noqa: ARG003 (the contract's signature)
        return cls(settings.get("LOCAL_FILES_DIR") or "test_data/csv_files")

    async def pin(self, ref: str) -> SourcePin:
        return await asyncio.to_thread(self._pin, ref)

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        return await asyncio.to_thread(self._read, pin, start, min(end, pin.size))

    async def names(self, most: int) -> list[str]:
        await self.ping()
        return await asyncio.to_thread(lambda: list(islice(_files_below(self._root, ""), most)))

    async def ping(self) -> None:
        if not await asyncio.to_thread(os.access, self._root, os.R_OK | os.X_OK):
            raise NotConfigured(
                f"The folder '{self._folder}' is not there, or may not be read by this service. Make it, or "
                "set LOCAL_FILES_DIR to another one."
            )

    def _pin(self, ref: str) -> SourcePin:
        parts = self._parts(ref)
        try:
            with self._opened(parts) as file:
                status = os.fstat(file)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceNotFound(
                f"There is no file '{ref}' in {self._folder}. Put it into {self._folder}, or name one "
                "that is there by its path below that folder."
            ) from error
        except PermissionError as error:
            raise SourceForbidden(
                f"The file '{ref}' in {self._folder} cannot be read by this service: "
                "give it permission to read the file and the folders above it."
            ) from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise SourceNotFound(f"No file can be called '{ref}': the name is too long.") from error
            raise Unavailable(f"The file '{ref}' in {self._folder} cannot be opened: {error}.") from error
        return SourcePin("local", "/".join(parts), _version(status), status.st_size)

    def _read(self, pin: SourcePin, start: int, end: int) -> bytes:
        try:
            with self._opened(self._parts(pin.ref)) as file:
                _check(pin, os.fstat(file))
                data = _read_all(file, start, end)
                _check(pin, os.fstat(file))
        except (FileNotFoundError, NotADirectoryError, SourceForbidden) as error:
            raise SourceChanged(
                f"The file '{pin.ref}' is gone from {self._folder} since it was submitted. "
                "Put it back and submit it again."
            ) from error
        except PermissionError as error:
            raise CredentialsRefused(
                f"The file '{pin.ref}' in {self._folder} can no longer be read by this service: "
                "give the permission back and resume."
            ) from error
        except OSError as error:
            raise Unavailable(f"Reading '{pin.ref}' in {self._folder} failed: {error}.") from error
        if len(data) < end - start:
            raise _changed(pin)
        return data

    def _parts(self, ref: str) -> list[str]:
        """The names on the way from the folder to the file."""
        names = ref.split("/")
        if "\0" in ref or ".." in names or ref.startswith("/") or not _encodable(ref):
            raise _forbidden(ref, self._folder)
        parts = [*PurePosixPath(ref).parts]
        if not parts or len(ref.encode()) > _LONGEST_REF:
            raise SourceNotFound(f"{ref[:80]!r} names no file. Name one by its path below {self._folder}.")
        return parts

    @contextmanager
    def _opened(self, parts: list[str]) -> Iterator[int]:
        """The file's descriptor. Each step opens the next name inside the folder opened before it."""
        current = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in parts:
                following = self._step(current, name, "/".join(parts))
                os.close(current)
                current = following
            if not stat.S_ISREG(os.fstat(current).st_mode):
                raise _forbidden("/".join(parts), self._folder)
            yield current
        finally:
            os.close(current)

    def _step(self, folder: int, name: str, ref: str) -> int:
        kind = os.lstat(name, dir_fd=folder).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise _forbidden(ref, self._folder)
        return os.open(name, _STEP, dir_fd=folder)


def _files_below(folder: Path, prefix: str) -> Iterator[str]:
    """Regular files, by their paths below `folder`, without hidden ones and what may not be looked into."""
    with suppress(PermissionError, FileNotFoundError), os.scandir(folder) as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            if entry.name.startswith(".") or not _encodable(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield prefix + entry.name


def _encodable(ref: str) -> bool:
    try:
        ref.encode()
    except UnicodeEncodeError:
        return False
    return True


def _forbidden(ref: str, folder: str) -> SourceForbidden:
    return SourceForbidden(
        f"{ref!r} may not be read: only regular files below {folder} may, named by a relative path "
        "without '..' and without symbolic links. Put a copy of the file there."
    )


def _version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_ino}-{status.st_size}"


def _check(pin: SourcePin, status: os.stat_result) -> None:
    if _version(status) != pin.version:
        raise _changed(pin)


def _changed(pin: SourcePin) -> SourceChanged:
    return SourceChanged(f"The file '{pin.ref}' has changed since it was submitted. Submit it again.")


def _read_all(file: int, start: int, end: int) -> bytes:
    """Bytes `start` to `end`, fewer only where the file ends before."""
    parts: list[bytes] = []
    while start < end:
        part = os.pread(file, end - start, start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
