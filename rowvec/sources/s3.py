"""Objects of one S3 bucket."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import TypeVar

from rowvec.bucket import AccessDenied, Bucket, Found, NoSuchBucket, OtherVersion, Version
from rowvec.errors import (
    CredentialsRefused,
    NotConfigured,
    PauseNeeded,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
)
from rowvec.filestores.base import FileStore
from rowvec.sources.base import ListedSource
from rowvec.spec import SourcePin

T = TypeVar("T")
_LONGEST_KEY = 1024  # bytes, https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_VERSION_ID, _ETAG = "version ", "etag "


class S3Source(ListedSource):
    """Objects of `S3_BUCKET` below `S3_PREFIX`, named by their keys below it.

    The version is the object's VersionId where the bucket keeps versions: then the task goes on with
    the pinned version whatever becomes of the object. Else it is the ETag, which every read asks for.
    """

    block_bytes = 16 << 20

    def __init__(self, bucket: Bucket | None, kept_out: str = "") -> None:
        self._bucket = bucket
        self._kept_out = kept_out

    @classmethod
    def open(cls, settings: Mapping[str, str], files: FileStore) -> S3Source:  # noqa: ARG003 (the contract's signature)
        name, prefix = settings.get("S3_BUCKET", ""), settings.get("S3_PREFIX", "").strip("/")
        if not name:
            return cls(None)
        bucket = Bucket(name, prefix, settings, "S3_BUCKET", "s3:GetObject and s3:ListBucket")
        return cls(bucket, _file_store_within(name, prefix, settings))

    async def pin(self, ref: str) -> SourcePin:
        if self._bucket is None:
            raise NotConfigured(_NO_BUCKET)
        self._check(ref)
        found = await _at_the_door(self._bucket, ref)
        return SourcePin("s3", ref, _spelt(found), found.size)

    async def read(self, pin: SourcePin, start: int, end: int) -> bytes:
        if self._bucket is None:
            raise PauseNeeded(f"{_NO_BUCKET} Then resume.")
        end = min(end, pin.size)
        version = _version_of(pin)
        if start >= end:
            await self._pinned(pin, self._bucket.check(pin.ref, version))
            return b""
        data = await self._pinned(pin, self._bucket.read(pin.ref, start, end, version))
        if len(data) != end - start:
            raise self._changed(pin)
        return data

    async def names(self, most: int) -> list[str]:
        if self._bucket is None:
            raise NotConfigured(_NO_BUCKET)
        with _words_of_the_door():
            found: list[str] = []
            async with aclosing(self._bucket.keys("")) as keys:
                async for key in keys:
                    if len(found) == most:
                        break
                    if self._may_be_read(key):
                        found.append(key)
        return found

    async def ping(self) -> None:
        if self._bucket is None:
            raise NotConfigured(_NO_BUCKET)
        await self._bucket.ping()

    def _may_be_read(self, key: str) -> bool:
        try:
            self._check(key)
        except (SourceForbidden, SourceNotFound):
            return False
        return True

    async def _pinned(self, pin: SourcePin, call: Awaitable[T]) -> T:
        try:
            return await call
        except FileNotFoundError as error:
            raise SourceChanged(
                f"'{pin.ref}' is gone from {self._bucket} since it was submitted. "
                "Put it back and submit it again."
            ) from error
        except OtherVersion as error:
            raise self._changed(pin) from error
        except AccessDenied as error:
            raise CredentialsRefused(f"{error.message} Then resume.") from error
        except NoSuchBucket as error:
            raise PauseNeeded(f"{error.message} Then resume.") from error

    def _changed(self, pin: SourcePin) -> SourceChanged:
        return SourceChanged(
            f"'{pin.ref}' in {self._bucket} has changed since it was submitted. Submit it again."
        )

    def _check(self, ref: str) -> None:
        """Raises SourceForbidden for what leads out of the prefix or cannot be spelt in a request."""
        parts = ref.split("/")
        if {"..", "."} & set(parts) or ref.startswith("/") or not _spellable(ref):
            raise SourceForbidden(
                f"{ref[:200]!r} may not be read: only objects below {self._bucket} may, named by their keys "
                "without a leading '/', '.', '..' or control characters."
            )
        if self._kept_out and f"{ref}/".startswith(self._kept_out):
            raise SourceForbidden(
                f"{ref[:200]!r} may not be read: below {self._kept_out} are the files of this service itself."
            )
        if "" in parts or len(ref.encode()) > _LONGEST_KEY:
            raise SourceNotFound(f"{ref[:80]!r} names no object. Name one by its key below {self._bucket}.")


async def _at_the_door(bucket: Bucket, ref: str) -> Found:
    try:
        with _words_of_the_door():
            return await bucket.look(ref)
    except FileNotFoundError as error:
        raise SourceNotFound(
            f"There is no object '{ref}' in {bucket}. Upload it there, or name one that is there by its key."
        ) from error


@contextmanager
def _words_of_the_door() -> Iterator[None]:
    try:
        yield
    except AccessDenied as error:
        raise SourceForbidden(error.message) from error
    except NoSuchBucket as error:
        raise NotConfigured(error.message) from error


_NO_BUCKET = (
    "No bucket is configured. Set S3_BUCKET to read from S3, or USE_LOCAL_FILES=true to read from "
    "LOCAL_FILES_DIR."
)


def _file_store_within(name: str, prefix: str, settings: Mapping[str, str]) -> str:
    """Keys, below the source's prefix, that begin with this are the file store's; empty: none are.

    Raises NotConfigured where all of them would be.
    """
    scheme, _, place = settings.get("FILE_STORE_URL", "").partition("://")
    bucket, _, files = place.partition("/")
    files, own = _folder(files), _folder(prefix)
    if (scheme, bucket) != ("s3", name):
        return ""
    if own.startswith(files):
        raise NotConfigured(
            f"S3_BUCKET and S3_PREFIX lie within FILE_STORE_URL, s3://{place}: callers would read the "
            "service's own files. Give the file store a prefix of its own."
        )
    return files.removeprefix(own) if files.startswith(own) else ""


def _folder(prefix: str) -> str:
    inner = prefix.strip("/")
    return f"{inner}/" if inner else ""


def _spellable(ref: str) -> bool:
    try:
        ref.encode()
    except UnicodeEncodeError:
        return False
    return not any(ord(character) < 32 or ord(character) == 127 for character in ref)


def _spelt(found: Found) -> str:
    return f"{_VERSION_ID}{found.version_id}" if found.version_id else f"{_ETAG}{found.etag}"


def _version_of(pin: SourcePin) -> Version:
    if pin.version.startswith(_VERSION_ID):
        return Version(id=pin.version.removeprefix(_VERSION_ID))
    return Version(etag=pin.version.removeprefix(_ETAG))
