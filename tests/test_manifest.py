"""Manifests keep what a chunk wrote; doubles across them are found in bounded memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec import doubles
from rowvec.doubles import Double, find_doubles
from rowvec.filestores.folder import FolderStore
from rowvec.manifest import Manifest, Written, decode_hashes, id_hashes, read_merged

pytestmark = pytest.mark.anyio


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=30))
def test_a_manifest_comes_back_as_it_was_written(ids: list[str]) -> None:
    """Ids, row numbers, hashes and passages survive the file, whatever the ids hold."""
    rows = Manifest(ids, list(range(len(ids))), [bytes(16)] * len(ids), [3] * len(ids))
    assert Manifest.decode(rows.encode()) == rows
    assert np.array_equal(decode_hashes(rows.encode()), id_hashes(ids))


async def _written(folder: Path, *ids: list[str]) -> tuple[FolderStore, list[Written]]:
    files = FolderStore.open(f"file://{folder}", {})
    manifests, row = [], 1
    for number, some in enumerate(ids):
        manifest = Manifest(some, list(range(row, row + len(some))), [bytes(16)] * len(some), [1] * len(some))
        await files.write(f"m/{number}", manifest.encode())
        manifests.append(Written(number, f"m/{number}"))
        row += len(some)
    return files, manifests


async def _found(files: FolderStore, manifests: list[Written], rows: int) -> dict[str, Double]:
    return {double.row_id: double async for part in find_doubles(files, manifests, rows) for double in part}


async def test_the_last_row_of_the_file_wins(tmp_path: Path) -> None:
    """Of an id in three chunks the highest row number is the winner, the others lose in order."""
    files, manifests = await _written(tmp_path, ["a", "b"], ["b", "c"], ["d", "b"])
    found = await _found(files, manifests, 6)
    assert list(found) == ["b"]
    assert found["b"].winner.row_number == 6
    assert [(place.row_number, place.chunk) for place in found["b"].losers] == [(2, 0), (3, 1)]


async def test_partitions_find_the_same_doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Splitting the hashes to bound memory changes nothing in what is found."""
    ids = [[f"id-{i * 7 % 50}" for i in range(start, start + 20)] for start in range(0, 200, 20)]
    files, manifests = await _written(tmp_path, *ids)
    whole = await _found(files, manifests, 200)
    monkeypatch.setattr(doubles, "PARTITION", 9)
    assert await _found(files, manifests, 200) == whole
    monkeypatch.setattr(doubles, "RESOLVED", 7)
    assert await _found(files, manifests, 200) == whole
    assert len(whole) == 50


async def test_manifests_are_read_joined_up(tmp_path: Path) -> None:
    """Joined manifests hold every row once, in order, and stay near the size asked for."""
    files, manifests = await _written(tmp_path, ["a", "b"], [], ["c"], ["d", "e"], ["f"])
    joined = [list(manifest.ids) async for manifest in read_merged(files, manifests, rows=3)]
    assert joined == [["a", "b", "c"], ["d", "e", "f"]]


async def test_no_chunks_no_doubles(tmp_path: Path) -> None:
    """A task without rows settles without work."""
    files, manifests = await _written(tmp_path)
    assert await _found(files, manifests, 0) == {}
