"""A bucket of S3, or of a server that speaks its language: ranged reads, and its errors in our terms."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PreconditionError, UnauthenticatedError
from obstore.store import S3Store

from rowvec.aws import Chain, NoCredentials, region
from rowvec.errors import CredentialsRefused, PauseNeeded, RateLimited, RowvecError, Unavailable

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Config

ATTEMPTS = 4
"""How often the rest of a range is asked for where a body ends before it is whole."""
_RETRIES = 4
"""Repetitions of one request within the client: a scan of a large object must not begin anew for one 503."""


class AccessDenied(CredentialsRefused):
    """The keys are good and may not do this; or, without s3:ListBucket, there may be no such object."""


class NoSuchBucket(PauseNeeded):
    """There is no bucket of that name at this address."""


class OtherVersion(RowvecError):
    """The object is not the one that was asked for (412)."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it is now; `written_at` in seconds since the epoch. `version_id` is empty where the bucket
    keeps no versions."""

    size: int
    etag: str
    version_id: str
    written_at: float


@dataclass(frozen=True, slots=True)
class Version:
    """Which object to read: one version for good, or the current one if it has this ETag; unset: any."""

    id: str = ""
    etag: str = ""

    @property
    def options(self) -> GetOptions:
        if self.id:
            return {"version": self.id}
        return {"if_match": self.etag} if self.etag else {}


class Bucket:
    """Objects below one prefix of a bucket, by their keys below it.

    `setting` names, in messages, what chose the bucket, `grants` what its users must be allowed.
    All calls raise FileNotFoundError (no such object), AccessDenied, NoSuchBucket, CredentialsRefused,
    RateLimited or Unavailable, in words.
    """

    def __init__(
        self, name: str, prefix: str, settings: Mapping[str, str], setting: str, grants: str
    ) -> None:
        endpoint = settings.get("AWS_ENDPOINT_URL_S3") or settings.get("AWS_ENDPOINT_URL") or ""
        self.name = name
        self.prefix = prefix
        self._setting = setting
        self._grants = grants
        self.region = region(settings)
        config: S3Config = {"region": self.region}
        if endpoint:
            config["endpoint"] = endpoint
        self.store = S3Store(
            name,
            prefix=prefix or None,
            config=config,
            credential_provider=Chain(settings),
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=5),
                "timeout": timedelta(seconds=60),
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=60)},
        )

    def __str__(self) -> str:
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    async def look(self, key: str) -> Found:
        """What is under a key now."""
        try:
            with self.translated(key):
                meta = await obstore.head_async(self.store, key)
        except (FileNotFoundError, PauseNeeded):
            await self.read(key, 0, 1)  # an answer to HEAD has no body that says why; this one has
            raise
        version = meta["version"] or ""
        # A bucket that has stopped keeping versions calls each new object `null` and overwrites it.
        version = "" if version == "null" else version
        return Found(meta["size"], meta["e_tag"] or "", version, meta["last_modified"].timestamp())

    async def ping(self) -> None:
        """Raises what any call does, except that no object is missed."""
        with suppress(FileNotFoundError):
            await self.read("~ping", 0, 1)  # the tilde keeps it out of the names a caller can say

    async def check(self, key: str, version: Version) -> None:
        """Raises OtherVersion, too, unless that version is there."""
        with self.translated(key):
            await obstore.get_async(self.store, key, options={"head": True, **version.options})

    async def read(self, key: str, start: int, end: int | None, version: Version = Version()) -> bytes:
        """Bytes `start` to `end` (or the object's end) of that version, fewer only where it ends before.

        Where a body breaks off, the rest is asked for again. Raises OtherVersion, too.
        """
        parts: list[bytes] = []
        for _ in range(ATTEMPTS):
            part, stop = await self._range(key, start, end, version)
            parts.append(part)
            start += len(part)
            if start >= stop:
                return parts[0] if len(parts) == 1 else b"".join(parts)
        raise Unavailable(f"{self}/{key} broke off {ATTEMPTS} times, the last time at byte {start}.")

    async def _range(self, key: str, start: int, end: int | None, version: Version) -> tuple[bytes, int]:
        """What came of a range, and where it would have ended whole."""
        options = version.options
        options["range"] = {"offset": start} if end is None else (start, end)
        try:
            with self.translated(key):
                answer = await obstore.get_async(self.store, key, options=options)
                return bytes(await answer.bytes_async()), answer.range[1]
        except _PastTheEnd:
            return b"", start

    async def keys(self, folder: str) -> AsyncGenerator[str]:
        """All keys below a folder (of whole parts, without its last `/`; empty: all)."""
        pages = obstore.list(self.store, folder or None).__aiter__()
        while True:
            try:
                with self.translated(folder):
                    page = await pages.__anext__()
            except StopAsyncIteration:
                return
            for meta in page:
                yield meta["path"]

    @contextmanager
    def translated(self, key: str) -> Iterator[None]:
        """The one place where the client's errors become the machine's."""
        try:
            yield
        except FileNotFoundError as error:
            if _Fault.of(error).code == "NoSuchBucket":
                raise NoSuchBucket(
                    f"There is no bucket '{self.name}'. Set {self._setting} to one that there is, or make it."
                ) from error
            raise FileNotFoundError(f"There is no '{key}' in {self}.") from error
        except PreconditionError as error:
            raise OtherVersion(f"'{key}' in {self} is another version by now.") from error
        except UnauthenticatedError as error:
            why = _words(error).rpartition(f"{NoCredentials.__name__}: ")[2]
            raise CredentialsRefused(f"{self} cannot be asked: {why}.") from error
        except BaseError as error:
            raise self._fault(error, key) from error

    def _fault(self, error: BaseError, key: str) -> Exception:
        fault = _Fault.of(error)
        if fault.status == 416:
            return _PastTheEnd()
        if fault.code in _KEYS:
            return CredentialsRefused(
                f"{self} refuses the AWS keys of this service ({fault.code}): {fault.message} "
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the instance's role right."
            )
        if fault.code in _REGIONS or "without LOCATION" in fault.text:
            there = f" It is in {fault.region}." if fault.region else ""
            return CredentialsRefused(
                f"The bucket '{self.name}' is not in the region {self.region}.{there} Set AWS_REGION."
            )
        if fault.code == "InvalidObjectState":
            return AccessDenied(f"'{key}' in {self} is archived. Restore it first.")
        if fault.status == 403:
            return AccessDenied(
                f"{self} denies this service access to '{key}' ({fault.code}). Check the key, and grant "
                f"{self._grants}: without s3:ListBucket, S3 says the same of objects that are not there."
            )
        if fault.status in (429, 503) or fault.code in _SLOWER:
            return RateLimited(f"{self} asks for fewer requests ({fault.code or fault.status}).")
        if 400 <= fault.status < 500:
            return PauseNeeded(f"{self} refuses '{key}' ({fault.status} {fault.code}): {fault.message}")
        return Unavailable(f"{self} does not answer: {_reason(fault.text)}")


class _PastTheEnd(Exception):
    """The range begins at the object's end or behind it (416)."""


_KEYS = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("RequestTimeTooSkewed", "InvalidSecurity", "InvalidClientTokenId", "AuthFailure"),
}
_REGIONS = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
_SLOWER = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests"}
"""Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""


@dataclass(frozen=True, slots=True)
class _Fault:
    """What an answer said: its status (0 where there was none), and its code, message and region."""

    status: int
    code: str
    message: str
    region: str
    text: str

    @classmethod
    def of(cls, error: Exception) -> _Fault:
        text = _words(error)
        status = re.search(r"status code: (\d{3})", text)
        return cls(
            int(status[1]) if status else 0,
            _tag("Code", text),
            _tag("Message", text),
            _tag("Region", text),
            text,
        )


def _reason(text: str) -> str:
    """The last of the client's words, without which request it was, how long it took and how often."""
    return text.rpartition("  - ")[2]


def _tag(name: str, text: str) -> str:
    found = re.search(f"<{name}>([^<]*)</{name}>", text)
    return found[1] if found else ""


def _words(error: Exception) -> str:
    """The client's own words, without its inner workings."""
    return str(error).partition("\n\nDebug source:")[0].strip()[:2000]
