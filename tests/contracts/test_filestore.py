"""What every file store promises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from rowvec import filestores
from rowvec.backends import load, scheme
from rowvec.errors import InvalidRequest, NotConfigured, Unavailable
from rowvec.filestores.base import FileStore
from rowvec.filestores.folder import FolderStore
from tests.servers.moto import Moto

pytestmark = pytest.mark.anyio

BACKENDS = ["file", "s3"]
SIZES = [100_000, 40 << 20]
"""Within one request, and in parts that are on their way already."""
GOOD_NAMES = ["a", "a/b/c.json", "tasks/7/chunk-000.manifest", "UPPER_lower.0", ".hidden", "..a", "x" * 255]
BAD_NAMES = ["", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/.", "a b", "ä", "a\\b", "a\x00", "a\n"]
BAD_NAMES += ["~unfinished/a", "x" * 256, "/".join(["x" * 200] * 6)]


@dataclass(frozen=True)
class Place:
    """Where a store of this test is, what opens it, and whatever lies there, finished or not."""

    url: str
    settings: dict[str, str]
    left: Callable[[], Sequence[object]]

    def open(self) -> FileStore:
        opened: FileStore = load("file store", filestores.TABLE, scheme(self.url)).open(
            self.url, self.settings
        )
        return opened


def folder(tmp_path: Path) -> Place:
    return Place(f"file://{tmp_path}/store", {}, lambda: [p for p in tmp_path.rglob("*") if p.is_file()])


def bucket(moto: Moto) -> Place:
    name, client = moto.new_bucket(), moto.client("s3")

    def left() -> list[object]:
        uploads = client.list_multipart_uploads(Bucket=name).get("Uploads", [])
        return [*client.list_objects_v2(Bucket=name).get("Contents", []), *uploads]

    return Place(f"s3://{name}/some/prefix", moto.settings, left)


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return folder(tmp_path) if request.param == "file" else bucket(request.getfixturevalue("moto"))


@pytest.fixture
def store(place: Place) -> FileStore:
    return place.open()


async def parts(*given: bytes, failure: BaseException | None = None) -> AsyncIterator[bytes]:
    for part in given:
        yield part
    if failure is not None:
        raise failure


@pytest.mark.parametrize("name", GOOD_NAMES)
async def test_what_is_written_is_read(store: FileStore, name: str) -> None:
    """Bytes come back as they went in, under every allowed name."""
    data = bytes(range(256)) * 9
    await store.write(name, data)
    assert await store.read(name) == data
    assert await store.size(name) == len(data)
    assert await store.names("") == [name]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_names_outside_the_rule_are_refused(store: FileStore, place: Place, name: str) -> None:
    """No call takes such a name, and none of them leaves a file anywhere."""
    for call in (store.write(name, b"x"), store.write_stream(name, parts(b"x")), store.read(name)):
        with pytest.raises(InvalidRequest):
            await call
    for other in (store.size(name), store.delete(name)):
        with pytest.raises(InvalidRequest):
            await other
    assert place.left() == []


async def test_the_later_write_wins(store: FileStore) -> None:
    """Writing a name again replaces the whole of what was there."""
    await store.write("a/b", b"long and old")
    await store.write("a/b", b"new")
    assert await store.read("a/b") == b"new"


async def test_the_time_of_the_last_write_is_told(store: FileStore) -> None:
    """In seconds since the epoch, to the second; what is not there has none."""
    before = time.time()
    await store.write("a/b", b"old")
    await store.write("a/b", b"new")
    written = await store.written_at("a/b")
    assert written is not None and before - 1 <= written <= time.time() + 1
    assert await store.written_at("a") is None and await store.written_at("a/c") is None


async def test_a_stream_is_stored_whole(store: FileStore) -> None:
    """The parts of a stream follow each other, empty ones too, and their size is returned."""
    assert await store.write_stream("s", parts(b"one", b"", b"two" * 100_000)) == 300_003
    assert await store.read("s") == b"one" + b"two" * 100_000


async def test_a_long_stream_is_stored_whole(store: FileStore) -> None:
    """As any other, in parts of any size."""
    given = [bytes([n]) * (3_000_000 + n) for n in range(16)]
    assert await store.write_stream("s", parts(*given)) == sum(map(len, given))
    assert await store.read("s") == b"".join(given)
    assert await store.names("") == ["s"]


async def test_an_empty_stream_is_an_empty_file(store: FileStore) -> None:
    """Nothing to write is a file of no bytes, not no file."""
    assert await store.write_stream("s", parts()) == 0
    assert await store.size("s") == 0


@pytest.mark.parametrize("size", SIZES)
async def test_a_raising_stream_leaves_nothing(store: FileStore, place: Place, size: int) -> None:
    """The error comes out as it is, and neither a name nor a byte on the disk remains."""
    with pytest.raises(LookupError, match="cut short"):
        await store.write_stream("a/b", parts(b"x" * size, failure=LookupError("cut short")))
    assert await store.names("") == []
    assert place.left() == []


async def test_a_raising_stream_keeps_what_was_there(store: FileStore) -> None:
    """A failed replacement does not touch the file it was to replace."""
    await store.write("a", b"old")
    with pytest.raises(LookupError):
        await store.write_stream("a", parts(b"new", failure=LookupError()))
    assert await store.read("a") == b"old"


@pytest.mark.parametrize("size", SIZES)
async def test_a_cancelled_stream_leaves_nothing(store: FileStore, place: Place, size: int) -> None:
    """A caller that goes away in the middle of an upload leaves no trace of it."""
    arrived = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * size
        arrived.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(store.write_stream("a", endless()))
    await arrived.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await store.names("") == []
    assert place.left() == []


async def test_an_upload_cancelled_at_its_start_leaves_nothing(store: FileStore, place: Place) -> None:
    """Nor does one that goes away before its first part, while the file is being made."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    for turns in range(4):
        upload = asyncio.create_task(store.write_stream("a", parts(b"x")))
        for _ in range(turns):
            await asyncio.sleep(0)
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
    await asyncio.to_thread(int)  # the only thread has done by now all that it was given before
    assert place.left() == []


async def test_an_unfinished_stream_is_not_seen(store: FileStore) -> None:
    """Until the last part is there, nobody sees the file."""
    seen: list[int | None] = []

    async def watched() -> AsyncIterator[bytes]:
        yield b"first"
        seen.append(await store.size("a"))
        assert await store.names("") == []
        yield b"second"

    await store.write_stream("a", watched())
    assert seen == [None]
    assert await store.names("") == ["a"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 6, b"345"),
        (0, 0, b""),
        (6, 3, b""),
        (8, 99, b"89"),
        (10, None, b""),
        (99, None, b""),
        (99, 100, b""),
    ],
)
async def test_ranges(store: FileStore, start: int, end: int | None, expected: bytes) -> None:
    """A range takes its start, leaves its end, and stops where the file does."""
    await store.write("a", b"0123456789")
    assert await store.read("a", start, end) == expected


async def test_a_negative_range_is_refused(store: FileStore) -> None:
    """Counting from the end is not understood, and not misunderstood either."""
    await store.write("a", b"0123456789")
    with pytest.raises(InvalidRequest):
        await store.read("a", -3)


async def test_what_is_not_there(store: FileStore) -> None:
    """A missing file has no size, cannot be read, and can be deleted."""
    await store.write("folder/a", b"")
    for name in ("b", "folder/b", "folder", "folder/a/b"):
        assert await store.size(name) is None
        with pytest.raises(FileNotFoundError, match=name):
            await store.read(name)
        await store.delete(name)
    assert await store.names("") == ["folder/a"]


async def test_deleted_is_gone(store: FileStore) -> None:
    """A deleted file is neither read nor listed; its neighbours are."""
    await store.write("a/1", b"1")
    await store.write("a/2", b"2")
    await store.delete("a/1")
    assert await store.size("a/1") is None
    assert await store.names("a/") == ["a/2"]


async def test_names_begin_with_the_prefix(store: FileStore) -> None:
    """A prefix may end within a part, and the names come sorted."""
    for name in ("t/10/b", "t/1/b", "t/1/a", "t2/a", "u"):
        await store.write(name, b"")
    assert await store.names("t/1") == ["t/1/a", "t/1/b", "t/10/b"]
    assert await store.names("t/1/") == ["t/1/a", "t/1/b"]
    assert await store.names("") == ["t/1/a", "t/1/b", "t/10/b", "t2/a", "u"]
    assert await store.names("nothing/here") == []


@pytest.mark.parametrize("prefix", ["../", "a/../", "/", "a b", "~unfinished"])
async def test_prefixes_outside_the_rule_are_refused(store: FileStore, prefix: str) -> None:
    """No listing leaves the store or shows what is unfinished."""
    with pytest.raises(InvalidRequest):
        await store.names(prefix)


async def test_two_writers_of_one_name(store: FileStore) -> None:
    """One of them wins whole; nothing is mixed."""
    bodies = [bytes([n]) * 50_000 for n in range(8)]
    await asyncio.gather(*(store.write("a", body) for body in bodies))
    assert await store.read("a") in bodies


async def test_another_store_at_the_url_sees_the_files(store: FileStore, place: Place) -> None:
    """What one process wrote, another one reads."""
    await store.write("a", b"x")
    assert await place.open().read("a") == b"x"


async def test_ping_answers_and_leaves_nothing(store: FileStore) -> None:
    """A store that works is silent."""
    await store.ping()
    assert await store.names("") == []


async def test_a_folder_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file where the folder should be is told in words, not with a traceback of the system."""
    (tmp_path / "store").write_text("a file")
    store = load("file store", filestores.TABLE, "file").open(f"file://{tmp_path}/store", {})
    with pytest.raises((InvalidRequest, Unavailable), match="store"):
        await store.ping()


async def test_a_file_and_a_folder_of_one_name(store: FileStore) -> None:
    """A name below another file's name is refused, where the store knows folders, and harms neither."""
    await store.write("a", b"x")
    if isinstance(store, FolderStore):
        with pytest.raises(InvalidRequest):
            await store.write("a/b", b"y")
    else:
        await store.write("a/b", b"y")
        assert await store.read("a/b") == b"y"
    assert await store.read("a") == b"x"


async def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that changes its folder later does not move the store."""
    monkeypatch.chdir(tmp_path)
    store = load("file store", filestores.TABLE, "file").open("file://data/files", {})
    monkeypatch.chdir("/")
    await store.write("a", b"x")
    assert (tmp_path / "data/files/a").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["file://", "file", "/tmp/x"])
def test_an_address_without_a_folder_is_refused(url: str) -> None:
    """The mistake is found when the store is opened, not when it is first written."""
    with pytest.raises(NotConfigured, match="folder"):
        load("file store", filestores.TABLE, "file").open(url, {})
