"""A preview shows the first rows as the run will embed them, and leaves nothing behind."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rowvec import preview as module
from rowvec.errors import InvalidRequest
from rowvec.intake import TaskRequest, submit
from rowvec.preview import Preview, PreviewedRow, preview
from tests.worker_kit import Workshop

pytestmark = pytest.mark.anyio


@pytest.fixture
async def workshop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path)
    await shop.ledger.ready()
    return shop


async def seen(shop: Workshop, most_rows: int = 5, name: str = "rows.csv", **wish: Any) -> Preview:
    options = {"id_column": "id", "text_columns": ["text"]} | wish
    return await preview(shop.machine, TaskRequest("local", name, **options), most_rows)


def outcomes(rows: tuple[PreviewedRow, ...] | list[PreviewedRow]) -> list[str]:
    return [row.outcome for row in rows]


async def test_rows_are_what_the_run_stores(workshop: Workshop, tmp_path: Path) -> None:
    """Ids, texts and metadata of the preview are, one by one, those that the task then writes."""
    (tmp_path / "rows.csv").write_text('id,text,n\na,"  <b>one</b>\u00a0two ",1\nb,three,2.5\nc,four,3\n')
    found = await seen(workshop, most_rows=2, id_prefix="p-", metadata_columns=["n"])
    assert found.spec.types == {"n": "number"} and found.spec.header == ("id", "text", "n")
    wish = TaskRequest("local", "rows.csv", id_column="id", text_columns=["text"], metadata_columns=["n"])
    task = (await submit(workshop.machine, replace(wish, id_prefix="p-"))).task
    await workshop.end_of(task.id)
    stored = await workshop.store.search("default", np.ones(workshop.embedder.dimension, np.float32), 10)
    by_id = {match.id: match for match in stored}
    assert [row.id for row in found.rows] == ["p-a", "p-b"]
    for row in found.rows:
        assert row.id and [by_id[row.id].text] == list(row.passages)
        assert by_id[row.id].metadata == row.metadata


async def test_every_row_has_its_outcome(workshop: Workshop, tmp_path: Path) -> None:
    """In the order of the file, with the reasons that the task would record."""
    rows = ["a,x,2025-01-01", "b,y,2024-01-01", "c,z,never", "", "d,too,many,cells", "e,,2025-01-01"]
    rows += ["f,one,2025-01-02", "f,two,2025-01-02"]
    (tmp_path / "rows.csv").write_text("id,text,day\n" + "\n".join(rows))
    wish = {"date_column": "day", "start_date": "2025-01-01"}
    found = (await seen(workshop, 10, **wish)).rows
    assert outcomes([*found]) == [
        "embedded", "filtered", "rejected", "rejected", "rejected", "duplicate", "embedded"
    ]  # fmt: skip
    assert [row.number for row in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [row.line for row in found] == [2, 3, 4, 6, 7, 8, 9]
    codes = [None, None, "unreadable-date", "too-many-fields", "empty-text", "doubled-id", None]
    assert [row.code for row in found] == codes
    assert found[3].content == "d,too,many,cells" and "5" not in (found[3].reason or "")
    assert "row 7 has the same id" in (found[5].reason or "")


async def test_long_texts_are_shown_as_their_passages(tmp_path: Path) -> None:
    """Each within the model's limit, with its tokens."""
    shop = Workshop(tmp_path, max_tokens=20)
    shop.write(["long words " * 50])
    await shop.ledger.ready()
    (row,) = (await seen(shop)).rows
    assert len(row.passages) > 1 and len(row.tokens) == len(row.passages)
    assert all(0 < count <= 20 for count in row.tokens)


async def test_only_so_many_rows_are_looked_at(workshop: Workshop) -> None:
    """The first ones, and all of them where the table has no more."""
    workshop.write(["a text"] * 30)
    assert [row.number for row in (await seen(workshop, 7)).rows] == [*range(1, 8)]
    workshop.write([])
    assert (await seen(workshop)).rows == []


async def test_a_packed_table_is_unpacked_as_far_as_needed(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies behind is not looked at, and a record that is cut there is not shown."""
    monkeypatch.setattr(module, "MORE_THAN_A_RECORD", 1)
    text = "id,text\na,one\n" + "b," + "x" * (40 << 20) + "\n"
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(text.encode(), 1))
    found = (await seen(workshop, name="rows.csv.gz")).rows
    assert [row.id for row in found] == ["a"]


async def test_it_is_refused_in_the_words_of_the_door(workshop: Workshop) -> None:
    workshop.write(["a text"])
    with pytest.raises(InvalidRequest, match="id_column names 'nope'") as refused:
        await seen(workshop, id_column="nope")
    assert refused.value.field == "id_column"


async def test_nothing_is_left_behind_or_spent(workshop: Workshop) -> None:
    """No task, no bound namespace, no file, no vector, no call of the embedder."""
    workshop.write(["a text"] * 30)
    await seen(workshop)
    assert (await workshop.ledger.tasks()).tasks == []
    await workshop.ledger.bind_namespace("default", "another-model", 3)
    assert workshop.store.written == [] and workshop.embedder.calls == 0
    assert await workshop.machine.files.names("") == []
