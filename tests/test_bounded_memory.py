"""What is far too large costs a bounded memory, and the rest of its file lands.

Each task runs in a process of its own (tests/weighed.py), which says by how many bytes it grew at most. The
ceilings lie between what was measured and what a copy too many would make of it; the docstrings say how.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

MB = 1_000_000
ROOT = Path(__file__).parent.parent


def weighed(folder: Path, parts: Iterable[bytes]) -> dict[str, Any]:
    """What a task over a file of these parts came to, and by how many bytes its process `grew`."""
    with (folder / "large.csv").open("wb") as file:
        file.writelines(parts)
    wish = json.dumps({"id_column": "id", "text_columns": ["text"]})
    command = [sys.executable, "-m", "tests.weighed", str(folder), "large.csv", wish]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    came_to: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    counts = came_to["counts"]
    sums = sum(counts[name] for name in ("upserted", "unchanged", "filtered", "duplicate", "rejected"))
    assert (counts["read"], came_to["unprocessed"]) == (sums, 0)
    return came_to


def between(record: Iterable[bytes]) -> Iterator[bytes]:
    """A table of three rows, of which the second is `2,` and this."""
    yield b"id,text\n1,one\n2,"
    yield from record
    yield b"\n3,three\n"


def test_a_field_of_10_mb_lands(tmp_path: Path) -> None:
    """It is within MAX_RECORD_BYTES, so it is read, split into passages and stored; its metadata is cut.

    Measured: 74 to 76 MB. The csv module alone takes five bytes a character
    (a buffer of four, and the value); the file's bytes, their text and the metadata are three more. With a
    StringIO, which takes four more, it was 117 MB.
    """
    came_to = weighed(tmp_path, between([b"word " * (2 * MB)]))
    assert (came_to["state"], came_to["landed"], came_to["rejected"]) == ("completed", [1, 2, 3], [])
    assert came_to["counts"]["passages"] > 300 and came_to["counts"]["warnings"] == 1
    assert came_to["grown"] < 105 * MB


@pytest.mark.parametrize("quote", [b"", b'"'], ids=["plain", "quoted"])
def test_a_record_of_100_mb_is_rejected_and_never_held(tmp_path: Path, quote: bytes) -> None:
    """Measured: 43 to 53 MB, which is thrice MAX_RECORD_BYTES (16 MiB): where the record may end is looked
    for in a buffer that grows to it and is joined with the next block. The record itself would be 100 MB.
    """
    came_to = weighed(tmp_path, between([quote, *[b"x" * MB] * 100, quote]))
    assert (came_to["state"], came_to["landed"]) == ("completed", [1, 3])
    [[row, line, code, reason]] = came_to["rejected"]
    assert (row, line, code) == (2, 3, "record-too-long")
    assert f"the record has {100 * MB + 3 + 2 * len(quote)} bytes" in reason
    assert came_to["grown"] < 80 * MB


def test_a_record_of_four_million_fields_is_rejected_and_never_split(tmp_path: Path) -> None:
    """Measured: 30 MB for 12 MB. An object for each field made it 350 MB."""
    came_to = weighed(tmp_path, between([b"ab" + b",ab" * (4 * MB)]))
    assert (came_to["state"], came_to["landed"]) == ("completed", [1, 3])
    assert came_to["rejected"] == [
        [2, 3, "too-many-fields", f"2 fields are expected, as in the header; {4 * MB + 2} were found"]
    ]
    assert came_to["grown"] < 80 * MB


def test_a_table_of_a_thousand_columns_lands(tmp_path: Path) -> None:
    """Measured: 90 to 100 MB for two chunks of 250 rows at once. Chunks of the 1,000 rows that CHUNK_SIZE
    allows were 330 MB: a cell of five bytes is an object of fifty, and an entry in its row's metadata.
    """
    names = [b"id", b"text", *(b"column %d" % number for number in range(998))]
    rows = (
        b",".join([b"%d" % row, b"a text", *(b"%d" % (row * n % 100_000) for n in range(998))])
        for row in range(1, 2_001)
    )
    came_to = weighed(tmp_path, (line + b"\n" for line in (b",".join(names), *rows)))
    assert (came_to["state"], came_to["landed"]) == ("completed", list(range(1, 2_001)))
    assert came_to["grown"] < 160 * MB


def gzip_bomb() -> list[bytes]:
    """A gibibyte of zeros behind a row, in a megabyte."""

    def member(data: bytes) -> bytes:
        packer = zlib.compressobj(9, wbits=31)
        return packer.compress(data) + packer.flush()

    return [member(b"id,text\n1,one\n2,"), *[member(bytes(16 << 20))] * 64]


def zstd_bomb() -> list[bytes]:
    """Half a gibibyte in 16 kB."""
    return [bytes(pa.compress(b"id,text\n1,one\n2," + bytes(512 << 20), codec="zstd", asbytes=True))]


@pytest.mark.parametrize("bomb", [gzip_bomb, zstd_bomb])
def test_a_bomb_fails_the_task_and_is_never_held(tmp_path: Path, bomb: Any) -> None:
    """Measured: 9 to 16 MB: pieces of a megabyte, on their way to the disk. What is unpacked until the ratio
    counts would be 67 MB, and all of it half a gigabyte or one.
    """
    came_to = weighed(tmp_path, bomb())
    assert (came_to["state"], came_to["landed"], came_to["counts"]["read"]) == ("failed", [], 0)
    assert "unpacks to more than 1000 times its size" in came_to["error"]
    assert came_to["grown"] < 50 * MB


@pytest.mark.parametrize("door", ["app.workers.embedded", "app.workers.celery_app"])
def test_a_worker_has_one_allocator_however_many_threads_write_manifests(door: str) -> None:
    """Arrow's own keeps a heap for each thread: 179 MB instead of 136 after a million rows."""
    code = f"import {door}, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    environment = {"PATH": "/usr/bin:/bin", "BROKER_URL": "redis://localhost:1/0"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["system"]
