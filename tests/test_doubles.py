"""Ids that stand in more than one chunk are found, however many rows there are, with few files open."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowvec.doubles import Double, find_doubles
from rowvec.filestores.folder import FolderStore
from rowvec.manifest import Manifest, Written

pytestmark = pytest.mark.anyio


@pytest.fixture
def few_files() -> Iterator[None]:
    """This process may open a hundred more files than it has."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir()) + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def written(files: FolderStore, chunks: list[list[str]]) -> list[Written]:
    manifests = []
    first = 1
    for number, ids in enumerate(chunks):
        numbers = list(range(first, first + len(ids)))
        manifest = Manifest(ids, numbers, [b"\0" * 16] * len(ids), [1] * len(ids))
        await files.write(f"{number}", manifest.encode())
        manifests.append(Written(number, f"{number}"))
        first += len(ids)
    return manifests


async def test_as_many_parts_as_a_billion_rows_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_files: None
) -> None:
    """Two thousand parts in a process that may open a hundred files; every double is found, and no other."""
    monkeypatch.setattr("rowvec.doubles.PARTITION", 5)
    chunks = [[f"row-{n}" for n in range(first, first + 1_000)] for first in range(0, 10_000, 1_000)]
    chunks[7][3], chunks[9][9] = "row-42", "row-42"
    chunks[8][0] = "row-999"
    files = FolderStore(tmp_path)
    manifests = await written(files, chunks)
    found: list[Double] = []
    async for doubles in find_doubles(files, manifests, 10_000):
        found += doubles
    rows = {double.row_id: [place.row_number for place in double.places] for double in found}
    assert rows == {"row-42": [43, 7_004, 9_010], "row-999": [1_000, 8_001]}
