"""What every source promises, and what keeps the local one inside its folder."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rowvec import sources
from rowvec.errors import SourceChanged, SourceDamaged, SourceForbidden, SourceNotFound
from rowvec.filestores.folder import FolderStore
from rowvec.sources.base import ExportedSource, ListedSource, Source
from rowvec.sources.local import LocalSource
from rowvec.sources.metabase import MetabaseSource
from rowvec.sources.s3 import S3Source
from rowvec.sources.stored import StoredSource
from rowvec.sources.upload import UploadSource
from rowvec.spec import SourcePin
from tests.servers.metabase import Metabase
from tests.servers.moto import Moto

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 5
TABLE = b"id,text\n" + b"".join(b'%d,"some text, and\nmore"\n' % n for n in range(45))
TABLE += b"last,%b\n" % (b"x" * (len(DATA) - len(TABLE) - len(b"last,\n")))
assert len(TABLE) == len(DATA)


@dataclass
class Case:
    """A source that holds `data` as `ref`; `put` replaces it, None removes it."""

    source: Source
    ref: str
    put: Callable[[bytes | None], None]
    data = DATA

    async def pinned(self) -> SourcePin:
        """A pin to read by."""
        return await self.source.pin(self.ref)

    async def spoil(self, data: bytes | None) -> None:
        """Change, or take away, what has been pinned."""
        self.put(data)


@dataclass
class FileCase(Case):
    path: Path


def _file(source: Source, ref: str, path: Path) -> FileCase:
    path.parent.mkdir(parents=True)
    return FileCase(source, ref, lambda data: path.unlink() if data is None else _write(path, data), path)


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def local(folder: Path, _: pytest.FixtureRequest | None = None) -> FileCase:
    files = FolderStore.open(f"file://{folder}/store", {})
    source = LocalSource.open({"LOCAL_FILES_DIR": str(folder)}, files)
    return _file(source, "tables/it.csv", folder / "tables" / "it.csv")


def upload(folder: Path, _: pytest.FixtureRequest | None = None) -> FileCase:
    source = UploadSource.open({}, FolderStore.open(f"file://{folder}/store", {}))
    return _file(source, "a1-B2", folder / "store" / "uploads" / "a1-B2.csv")


def s3(folder: Path, request: pytest.FixtureRequest) -> Case:
    moto: Moto = request.getfixturevalue("moto")
    bucket, client = moto.new_bucket(), moto.client("s3")
    files = FolderStore.open(f"file://{folder}/store", {})

    def put(data: bytes | None) -> None:
        if data is None:
            client.delete_object(Bucket=bucket, Key="tables/it.csv")
        else:
            client.put_object(Bucket=bucket, Key="tables/it.csv", Body=data)

    return Case(S3Source.open({**moto.settings, "S3_BUCKET": bucket}, files), "tables/it.csv", put)


@dataclass
class ExportedCase(Case):
    """A source that is exported into the store `files` before it is read."""

    source: ExportedSource
    files: FolderStore
    copies: int = 0
    data = TABLE

    async def pinned(self) -> SourcePin:
        self.copies += 1
        pin, name = await self.source.pin(self.ref), f"tasks/t/export-{self.copies}.csv"
        return replace(
            pin, version=name, size=await self.files.write_stream(name, self.source.export(pin, False))
        )

    async def spoil(self, data: bytes | None) -> None:
        name = f"tasks/t/export-{self.copies}.csv"
        await (self.files.delete(name) if data is None else self.files.write(name, data))


def metabase(folder: Path, request: pytest.FixtureRequest) -> Case:
    server: Metabase = request.getfixturevalue("metabase")
    files = FolderStore.open(f"file://{folder}/store", {})

    def put(data: bytes | None) -> None:
        server.forget(42) if data is None else server.ask(42, data)

    return ExportedCase(MetabaseSource.open(server.settings, files), "42", put, files)


def stored(folder: Path, _: pytest.FixtureRequest | None = None) -> FileCase:
    source = StoredSource.open({}, FolderStore.open(f"file://{folder}/store", {}))
    return _file(source, "tasks/it/source.csv", folder / "store" / "tasks" / "it" / "source.csv")


@pytest.fixture(params=[local, upload, stored, s3, metabase])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    made: Case = request.param(tmp_path, request)
    made.put(made.data)
    return made


async def test_a_pin_names_one_version(case: Case) -> None:
    """A pin gives the source's kind, name and size, and is the same while nothing changes."""
    pin = await case.pinned()
    assert (pin.ref, pin.size) == (case.ref, len(case.data))
    assert pin.kind in sources.TABLE or pin.kind == StoredSource.kind
    assert type(case.source).__module__.startswith(f"rowvec.sources.{pin.kind}")
    assert await case.source.pin(case.ref) == await case.source.pin(case.ref)


@pytest.mark.parametrize(("start", "end"), [(0, 1280), (0, 1), (7, 300), (1279, 1280), (1270, 9999), (5, 5)])
async def test_exact_ranges(case: Case, start: int, end: int) -> None:
    """A read gives exactly the bytes asked for, up to the source's end."""
    pin = await case.pinned()
    assert await case.source.read(pin, start, end) == case.data[start:end]


async def test_reading_past_the_end_gives_nothing(case: Case) -> None:
    """A range that begins at or after the end is empty."""
    pin = await case.pinned()
    assert await case.source.read(pin, 1280, 1290) == b""
    assert await case.source.read(pin, 2000, 2010) == b""


@pytest.mark.parametrize(
    "after", [None, b"", DATA[:-1], DATA + b"x"], ids=["gone", "empty", "shorter", "longer"]
)
@pytest.mark.parametrize(("start", "end"), [(0, 10), (1200, 1280), (3, 3)])
async def test_a_changed_source_is_noticed(case: Case, after: bytes | None, start: int, end: int) -> None:
    """Once the source is gone or of another size, no range of the pinned version is given out."""
    pin = await case.pinned()
    await case.spoil(after)
    with pytest.raises(SourceChanged, match=case.ref):
        await case.source.read(pin, start, end)


async def test_a_new_version_has_a_new_pin(case: Case) -> None:
    """After a change, pinning again gives another version, which can be read."""
    old = await case.pinned()
    case.put(b"new\n")
    new = await case.pinned()
    assert new.version != old.version
    assert await case.source.read(new, 0, 10) == b"new\n"


async def test_an_empty_source_is_one(case: Case) -> None:
    """A source of no bytes can be pinned and read; an export of none is no table."""
    case.put(b"")
    if isinstance(case, ExportedCase):
        with pytest.raises(SourceDamaged, match="without so much as a header"):
            await case.pinned()
        return
    pin = await case.pinned()
    assert (pin.size, await case.source.read(pin, 0, 10)) == (0, b"")


@pytest.mark.parametrize("ref", ["nothing", "", "nothing-here-" + "x" * 300, "y" * 5000])
async def test_what_is_not_there_is_not_found(case: Case, ref: str) -> None:
    """An unknown name is refused, quoted, and with a remedy."""
    with pytest.raises(SourceNotFound) as missing:
        await case.source.pin(ref)
    assert ref[:20] in missing.value.message


@pytest.mark.parametrize(
    "ref", ["../a1-B2", "a1-B2/../a1-B2", "a1-B2.csv", "uploads/a1-B2", "a1 B2", "a1\0B2", "a1-B2\n"]
)
async def test_an_upload_is_named_by_its_id_only(tmp_path: Path, ref: str) -> None:
    """What is no upload id is no upload, whatever path it would make."""
    case = upload(tmp_path)
    case.put(DATA)
    with pytest.raises(SourceNotFound):
        await case.source.pin(ref)


@pytest.fixture
def inside(tmp_path: Path) -> FileCase:
    """A local source in a folder that has a secret beside it."""
    (tmp_path / "secret.csv").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    made = local(root)
    made.put(DATA)
    return made


@pytest.mark.parametrize(
    "ref",
    [
        "../secret.csv",
        "tables/../../secret.csv",
        "tables/../tables/it.csv",
        "..",
        "tables",
        ".",
        "a\0b",
        "\ud800",
    ],
)
async def test_a_local_path_stays_inside(inside: FileCase, ref: str) -> None:
    """Whatever leads up or is no regular file is refused, or is no file; nothing of it is read."""
    with pytest.raises((SourceForbidden, SourceNotFound)) as refused:
        await inside.source.pin(ref)
    assert type(refused.value) is (SourceNotFound if ref == "." else SourceForbidden)


async def test_an_absolute_path_is_refused(inside: FileCase) -> None:
    """An absolute path is refused even where it leads to a file inside the folder."""
    with pytest.raises(SourceForbidden, match="relative path"):
        await inside.source.pin(str(inside.path))


async def test_links_are_not_followed(inside: FileCase, tmp_path: Path) -> None:
    """A symbolic link is refused at every place of the path, even where it stays inside the folder."""
    root = tmp_path / "root"
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    (root / "inner.csv").symlink_to(inside.path)
    (root / "folder").symlink_to(root / "tables")
    (root / "dangling.csv").symlink_to(root / "nowhere")
    for ref in ("link.csv", "inner.csv", "folder/it.csv", "dangling.csv"):
        with pytest.raises(SourceForbidden, match="symbolic links"):
            await inside.source.pin(ref)


async def test_a_pipe_is_no_source(inside: FileCase) -> None:
    """A named pipe is refused at once, without waiting for a writer."""
    os.mkfifo(inside.path.parent / "pipe")
    with pytest.raises(SourceForbidden):
        await inside.source.pin("tables/pipe")


async def test_a_file_used_as_a_folder_is_not_found(inside: FileCase) -> None:
    """A path through a file leads nowhere."""
    with pytest.raises(SourceNotFound, match="Put it into"):
        await inside.source.pin("tables/it.csv/more")


async def test_a_local_file_of_the_same_size_is_another(inside: FileCase) -> None:
    """A file that was replaced or touched is another version, although its size is the same."""
    pin = await inside.source.pin(inside.ref)
    os.utime(inside.path, ns=(1, 1))
    with pytest.raises(SourceChanged):
        await inside.source.read(pin, 0, 10)
    replaced = replace(pin, version=(await inside.source.pin(inside.ref)).version)
    other = inside.path.with_suffix(".new")
    other.write_bytes(DATA)
    os.utime(other, ns=(1, 1))
    other.rename(inside.path)
    with pytest.raises(SourceChanged):
        await inside.source.read(replaced, 0, 10)


async def test_a_local_file_that_becomes_a_link_has_changed(inside: FileCase, tmp_path: Path) -> None:
    """A pinned file that is a link now is not read through it."""
    pin = await inside.source.pin(inside.ref)
    inside.path.unlink()
    inside.path.symlink_to(tmp_path / "secret.csv")
    with pytest.raises(SourceChanged):
        await inside.source.read(pin, 0, 10)


async def test_a_change_while_reading_is_noticed(inside: FileCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that were read while the file changed are not given out."""
    pin = await inside.source.pin(inside.ref)
    real = os.pread

    def touched(file: int, size: int, at: int) -> bytes:
        os.utime(inside.path, ns=(7, 7))
        return real(file, size, at)

    monkeypatch.setattr(os, "pread", touched)
    with pytest.raises(SourceChanged):
        await inside.source.read(pin, 0, 10)


async def test_short_reads_are_completed(inside: FileCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system hands out a range in pieces, all of it arrives."""
    pin = await inside.source.pin(inside.ref)
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, at: real(file, min(size, 7), at))
    assert await inside.source.read(pin, 3, 1000) == DATA[3:1000]


async def test_the_folder_has_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without LOCAL_FILES_DIR files come from test_data/csv_files, and errors name it."""
    monkeypatch.chdir(tmp_path)
    source = LocalSource.open({}, FolderStore.open(f"file://{tmp_path}/store", {}))
    with pytest.raises(SourceNotFound, match="test_data/csv_files"):
        await source.pin("it.csv")
    (tmp_path / "test_data" / "csv_files").mkdir(parents=True)
    (tmp_path / "test_data" / "csv_files" / "it.csv").write_bytes(DATA)
    assert (await source.pin("it.csv")).size == len(DATA)


@pytest.mark.parametrize("made_by", [local, s3])
async def test_a_source_that_lists_names_what_can_be_pinned(
    made_by: Callable[[Path, pytest.FixtureRequest], Case], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Up to so many, and only what `pin` takes."""
    case = made_by(tmp_path / "folder", request)
    assert isinstance(case.source, ListedSource)
    case.put(DATA)
    assert await case.source.names(10) == [case.ref]
    assert (await case.source.pin(case.ref)).size == len(DATA)
    assert await case.source.names(0) == []
    case.put(None)
    assert await case.source.names(10) == []


async def test_the_local_list_stays_inside(tmp_path: Path) -> None:
    """No link is followed or named, nothing hidden is told, and the order is that of the names."""
    case, outside = local(tmp_path / "inside"), tmp_path / "outside.csv"
    case.put(b"id\n1\n")
    outside.write_text("id\n1\n")
    root = tmp_path / "inside"
    (root / "b.csv").symlink_to(outside)
    (root / "tables" / "up").symlink_to(tmp_path)
    (root / ".hidden.csv").write_text("id\n")
    (root / "a.csv").write_text("id\n")
    assert isinstance(case.source, ListedSource)
    assert await case.source.names(10) == ["a.csv", "tables/it.csv"]
    assert await case.source.names(1) == ["a.csv"]


async def test_the_list_of_a_bucket_leaves_out_the_services_own_files(tmp_path: Path, moto: Moto) -> None:
    """What `pin` refuses is not named."""
    bucket, client = moto.new_bucket(), moto.client("s3")
    for key in ("a.csv", "kept/uploads/x.csv", "b/c.csv"):
        client.put_object(Bucket=bucket, Key=key, Body=b"id\n1\n")
    settings = {**moto.settings, "S3_BUCKET": bucket, "FILE_STORE_URL": f"s3://{bucket}/kept"}
    source = S3Source.open(settings, FolderStore.open(f"file://{tmp_path}/store", {}))
    assert await source.names(10) == ["a.csv", "b/c.csv"]
