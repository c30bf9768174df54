"""What every source promises, and what keeps the local one inside its folder."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rowvec.errors import SourceChanged, SourceForbidden, SourceNotFound
from rowvec.filestores.folder import FolderStore
from rowvec.sources.base import Source
from rowvec.sources.local import LocalSource
from rowvec.sources.stored import StoredSource
from rowvec.sources.upload import UploadSource

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 5


@dataclass
class Case:
    """A source that holds DATA as `ref`; `put` replaces it, None removes it."""

    source: Source
    ref: str
    path: Path

    def put(self, data: bytes | None) -> None:
        if data is None:
            self.path.unlink()
        else:
            self.path.write_bytes(data)


def local(folder: Path) -> Case:
    path = folder / "tables" / "it.csv"
    path.parent.mkdir()
    files = FolderStore.open(f"file://{folder}/store", {})
    return Case(LocalSource.open({"LOCAL_FILES_DIR": str(folder)}, files), "tables/it.csv", path)


def upload(folder: Path) -> Case:
    path = folder / "store" / "uploads" / "a1-B2.csv"
    path.parent.mkdir(parents=True)
    return Case(UploadSource.open({}, FolderStore.open(f"file://{folder}/store", {})), "a1-B2", path)


def stored(folder: Path) -> Case:
    path = folder / "store" / "tasks" / "it" / "source.csv"
    path.parent.mkdir(parents=True)
    source = StoredSource.open({}, FolderStore.open(f"file://{folder}/store", {}))
    return Case(source, "tasks/it/source.csv", path)


@pytest.fixture(params=[local, upload, stored])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    make: Callable[[Path], Case] = request.param
    made = make(tmp_path)
    made.put(DATA)
    return made


async def test_a_pin_names_one_version(case: Case) -> None:
    """A pin gives the source's kind, name and size, and is the same while nothing changes."""
    pin = await case.source.pin(case.ref)
    assert (pin.ref, pin.size) == (case.ref, len(DATA))
    assert pin.kind == type(case.source).__module__.rpartition(".")[2]
    assert pin == await case.source.pin(case.ref)


@pytest.mark.parametrize(("start", "end"), [(0, 1280), (0, 1), (7, 300), (1279, 1280), (1270, 9999), (5, 5)])
async def test_exact_ranges(case: Case, start: int, end: int) -> None:
    """A read gives exactly the bytes asked for, up to the source's end."""
    pin = await case.source.pin(case.ref)
    assert await case.source.read(pin, start, end) == DATA[start:end]


async def test_reading_past_the_end_gives_nothing(case: Case) -> None:
    """A range that begins at or after the end is empty."""
    pin = await case.source.pin(case.ref)
    assert await case.source.read(pin, 1280, 1290) == b""
    assert await case.source.read(pin, 2000, 2010) == b""


@pytest.mark.parametrize(
    "after", [None, b"", DATA[:-1], DATA + b"x"], ids=["gone", "empty", "shorter", "longer"]
)
@pytest.mark.parametrize(("start", "end"), [(0, 10), (1200, 1280), (3, 3)])
async def test_a_changed_source_is_noticed(case: Case, after: bytes | None, start: int, end: int) -> None:
    """Once the source is gone or of another size, no range of the pinned version is given out."""
    pin = await case.source.pin(case.ref)
    case.put(after)
    with pytest.raises(SourceChanged, match=case.ref):
        await case.source.read(pin, start, end)


async def test_a_new_version_has_a_new_pin(case: Case) -> None:
    """After a change, pinning again gives another version, which can be read."""
    old = await case.source.pin(case.ref)
    case.put(b"new")
    new = await case.source.pin(case.ref)
    assert new.version != old.version
    assert await case.source.read(new, 0, 10) == b"new"


async def test_an_empty_source_is_one(case: Case) -> None:
    """A source of no bytes can be pinned and read."""
    case.put(b"")
    pin = await case.source.pin(case.ref)
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
def inside(tmp_path: Path) -> Case:
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
async def test_a_local_path_stays_inside(inside: Case, ref: str) -> None:
    """Whatever leads up or is no regular file is refused, or is no file; nothing of it is read."""
    with pytest.raises((SourceForbidden, SourceNotFound)) as refused:
        await inside.source.pin(ref)
    assert type(refused.value) is (SourceNotFound if ref == "." else SourceForbidden)


async def test_an_absolute_path_is_refused(inside: Case) -> None:
    """An absolute path is refused even where it leads to a file inside the folder."""
    with pytest.raises(SourceForbidden, match="relative path"):
        await inside.source.pin(str(inside.path))


async def test_links_are_not_followed(inside: Case, tmp_path: Path) -> None:
    """A symbolic link is refused at every place of the path, even where it stays inside the folder."""
    root = tmp_path / "root"
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    (root / "inner.csv").symlink_to(inside.path)
    (root / "folder").symlink_to(root / "tables")
    (root / "dangling.csv").symlink_to(root / "nowhere")
    for ref in ("link.csv", "inner.csv", "folder/it.csv", "dangling.csv"):
        with pytest.raises(SourceForbidden, match="symbolic links"):
            await inside.source.pin(ref)


async def test_a_pipe_is_no_source(inside: Case) -> None:
    """A named pipe is refused at once, without waiting for a writer."""
    os.mkfifo(inside.path.parent / "pipe")
    with pytest.raises(SourceForbidden):
        await inside.source.pin("tables/pipe")


async def test_a_file_used_as_a_folder_is_not_found(inside: Case) -> None:
    """A path through a file leads nowhere."""
    with pytest.raises(SourceNotFound, match="Put it into"):
        await inside.source.pin("tables/it.csv/more")


async def test_a_local_file_of_the_same_size_is_another(inside: Case) -> None:
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


async def test_a_local_file_that_becomes_a_link_has_changed(inside: Case, tmp_path: Path) -> None:
    """A pinned file that is a link now is not read through it."""
    pin = await inside.source.pin(inside.ref)
    inside.path.unlink()
    inside.path.symlink_to(tmp_path / "secret.csv")
    with pytest.raises(SourceChanged):
        await inside.source.read(pin, 0, 10)


async def test_a_change_while_reading_is_noticed(inside: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that were read while the file changed are not given out."""
    pin = await inside.source.pin(inside.ref)
    real = os.pread

    def touched(file: int, size: int, at: int) -> bytes:
        os.utime(inside.path, ns=(7, 7))
        return real(file, size, at)

    monkeypatch.setattr(os, "pread", touched)
    with pytest.raises(SourceChanged):
        await inside.source.read(pin, 0, 10)


async def test_short_reads_are_completed(inside: Case, monkeypatch: pytest.MonkeyPatch) -> None:
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
