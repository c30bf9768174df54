"""What the file store in a bucket does when S3 says no, hangs up, or holds other things than its files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest

from rowvec.errors import CredentialsRefused, NotConfigured, PauseNeeded, RateLimited, Unavailable
from rowvec.filestores.s3 import PART_BYTES, S3Store
from tests.servers.faulty import Fault, Faulty, before, s3_error
from tests.servers.moto import Moto

pytestmark = pytest.mark.anyio


@pytest.fixture
def proxy(moto: Moto) -> Iterator[Faulty]:
    with before(moto.url) as faulty:
        yield faulty


@pytest.fixture
def bucket(moto: Moto) -> str:
    return moto.new_bucket()


@pytest.fixture
def s3(moto: Moto) -> Any:
    return moto.client("s3")


@pytest.fixture
def store(moto: Moto, proxy: Faulty, bucket: str) -> S3Store:
    return S3Store.open(f"s3://{bucket}/files", {**moto.settings, "AWS_ENDPOINT_URL": proxy.url})


async def zeros(size: int) -> AsyncIterator[bytes]:
    for _ in range(size >> 16):
        yield bytes(1 << 16)


async def test_files_lie_below_the_prefix_and_nothing_else_is_listed(
    store: S3Store, s3: Any, bucket: str
) -> None:
    """Other people's objects, and what no file can be called, are not shown as files."""
    for key in ("other/a", "files/not a name", "files2/a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    await store.write("a", b"x")
    assert await store.names("") == ["a"]
    assert s3.get_object(Bucket=bucket, Key="files/a")["Body"].read() == b"x"


async def test_a_long_list_is_listed_whole(store: S3Store, s3: Any, bucket: str) -> None:
    """S3 gives names page by page; all of them come."""
    names = [f"t/{number:04}" for number in range(120)]
    for name in names:
        s3.put_object(Bucket=bucket, Key=f"files/{name}", Body=b"")
    assert await store.names("t/") == names


@pytest.mark.parametrize("failing", ["PUT", "POST"])
async def test_an_upload_that_s3_refuses_leaves_nothing(
    store: S3Store, proxy: Faulty, s3: Any, bucket: str, failing: str
) -> None:
    """Whether a part or the end of it is refused, the parts that were sent are taken back."""
    begun = False

    def fault() -> Fault | None:
        nonlocal begun
        method, path, _ = proxy.seen[-1]
        hit = begun and method == failing and "uploadId" in path
        begun = begun or "uploads" in path
        return s3_error(400, "EntityTooSmall") if hit else None

    proxy.next_fault = fault  # type: ignore[method-assign]
    with pytest.raises(PauseNeeded, match="EntityTooSmall"):
        await store.write_stream("a", zeros(3 * PART_BYTES))
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    assert await store.size("a") is None


async def test_memory_does_not_grow_with_the_file(store: S3Store) -> None:
    """A stream of twelve parts is held a few parts at a time."""
    process = psutil.Process()
    most = before_it = process.memory_info().rss

    async def watched() -> AsyncIterator[bytes]:
        nonlocal most
        async for part in zeros(12 * PART_BYTES):
            most = max(most, process.memory_info().rss)
            yield part

    assert await store.write_stream("a", watched()) == 12 * PART_BYTES
    assert most - before_it < 6 * PART_BYTES


async def test_a_cut_answer_is_completed(store: S3Store, proxy: Faulty) -> None:
    """A file is never read short, with or without an end of the range."""
    data = bytes(range(256)) * 1000
    await store.write("a", data)
    for end in (None, 200_000):
        proxy.faults = [Fault(cut_at=1000), Fault(short_to=1000)]
        assert await store.read("a", 10, end) == data[10:end]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (s3_error(503, "SlowDown"), RateLimited, "asks for fewer requests"),
        (s3_error(500, "InternalError"), Unavailable, "does not answer"),
        (s3_error(403, "InvalidAccessKeyId"), CredentialsRefused, "Set AWS_ACCESS_KEY_ID"),
        (s3_error(403, "AccessDenied"), CredentialsRefused, "s3:PutObject"),
        (s3_error(404, "NoSuchBucket"), PauseNeeded, "Set FILE_STORE_URL to one that there is"),
    ],
    ids=["slow", "broken", "key", "denied", "bucket"],
)
async def test_refusals_are_told_by_every_call(
    store: S3Store, proxy: Faulty, fault: Fault, error: type[Exception], words: str
) -> None:
    """Ping, read and write say the same, with the remedy."""
    proxy.always = fault
    for call in (store.ping(), store.read("a"), store.write("a", b"x")):
        with pytest.raises(error, match=words):
            await call


async def test_a_ping_without_files_is_silent(store: S3Store, proxy: Faulty) -> None:
    """An empty bucket is a working one; asking costs one request."""
    await store.ping()
    assert len(proxy.seen) == 1


async def test_a_cancelled_upload_is_over_when_the_caller_hears_of_it(
    store: S3Store, s3: Any, bucket: str
) -> None:
    """Its parts are gone by then, although they were on their way."""
    arrived = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        async for part in zeros(4 * PART_BYTES):
            yield part
        arrived.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(store.write_stream("a", endless()))
    await arrived.wait()
    assert len(s3.list_multipart_uploads(Bucket=bucket)["Uploads"]) == 1
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3"])
def test_an_address_without_a_bucket_is_refused(url: str) -> None:
    """The mistake is found when the store is opened."""
    with pytest.raises(NotConfigured, match="names no bucket"):
        S3Store.open(url, {})
