"""Rejected rows go out as a table, are repaired by a person, and come back in as a child task."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.status import status_of
from rowvec.errors import InvalidRequest, UnknownTask, WrongState
from rowvec.fields import parse
from rowvec.intake import TaskRequest, submit
from rowvec.model import Task, TaskState
from rowvec.rejected import rejections
from rowvec.repair import LEAD, MISSING, OPEN, delimiter_of, guarded, repair_table, unguarded
from tests.worker_kit import Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]

TABLE = (
    b"id,title,=price,day\n"
    b"r1,Lamp,10,2025-01-01\n"
    b"r2,Too few,20\n"
    b"r3,Too, many,30,2025-01-03\n"
    b'r4,"text"after,40,2025-01-04\n'
    b"r5,not utf8 \xff,50,2025-01-05\n"
    b"r6,nul \x00,60,2025-01-06\n"
    b",no id,70,2025-01-07\n"
    b"r8,-no date,80,someday\n"
    b"r9,Kettle,-90,2025-01-09\n"
    b'r10,"unclosed,100,2025-01-10\n'
    b"r11,Fork,110,2025-01-11\n"
    b"r12,Knife,120,2025-01-12\n"
    b"r13,Spoon,130,2025-01-13\n"
)
MENDED = {
    2: ["r2", "Too few", "20", "2025-01-02"],
    3: ["r3", "Too, many", "30", "2025-01-03"],
    4: ["r4", 'text"after', "40", "2025-01-04"],
    5: ["r5", "not utf8 ÿ", "50", "2025-01-05"],
    6: ["r6", "nul ", "60", "2025-01-06"],
    7: ["r7", "no id", "70", "2025-01-07"],
    10: ["r10", "unclosed", "100", "2025-01-10"],
}
WISH = TaskRequest(
    "local",
    "bad.csv",
    "shelf",
    20,
    id_column="id",
    id_prefix="shop-",
    text_template="{title} at {=price}",
    metadata_columns=("title", "=price"),
    date_column="day",
    start_date="2025-01-01",
)


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


async def run(shop: Workshop, wish: TaskRequest) -> Task:
    await shop.ledger.ready()
    return await shop.end_of((await submit(shop.machine, wish)).task.id)


async def bad_task(shop: Workshop, folder: Path) -> Task:
    (folder / "bad.csv").write_bytes(TABLE)
    return await run(shop, WISH)


async def exported(shop: Workshop, task: Task) -> list[list[str]]:
    data = b"".join([line async for line in repair_table(shop.machine, task)])
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def written(rows: list[list[str]], path: Path, delimiter: str = ",") -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def mended(rows: list[list[str]]) -> list[list[str]]:
    """What a person makes of it: the cells that were wrong are put right, all others stay as they came."""
    out = [rows[0]]
    for row in rows[1:]:
        number = int(row[0])
        values = MENDED.get(number, [*row[2:5], "2025-01-08"])
        out.append([*row[:2], *values])
    return out


# The way there and back


@given(
    st.text(st.sampled_from("'=+-@\t\r\n ,\";[]repaiab1é"))
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
def test_a_guarded_value_comes_back_as_it_was(value: str) -> None:
    """No value begins like a formula on its way, and each comes back exactly, quotes of its own included."""
    safe = guarded(value)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", OPEN))
    assert unguarded(safe) == value
    line = io.StringIO()
    csv.writer(line).writerow(["1", "why", safe])
    (read,) = parse(line.getvalue(), ",", 1 << 20)
    assert unguarded(read[2]) == value


async def test_every_kind_of_bad_record_is_repaired_and_lands(shop: Workshop, tmp_path: Path) -> None:
    """Rejected, sent out, put right, sent in: every row is there, and both accounts add up."""
    parent = await bad_task(shop, tmp_path)
    rows = await exported(shop, parent)
    written(mended(rows), tmp_path / "mended.csv")
    child = await run(shop, TaskRequest("local", "mended.csv", parent_id=parent.id))
    seen = await status_of(shop.ledger, parent, await shop.ledger.children(parent.id))

    assert rows[0] == ["_row", "_reason", "id", "title", "'=price", "day"]
    assert [int(row[0]) for row in rows[1:]] == [2, 3, 4, 5, 6, 7, 8, 10]
    assert (parent.counts.read, parent.counts.upserted, parent.counts.rejected) == (13, 5, 8)
    assert (child.counts.read, child.counts.upserted, child.counts.rejected) == (8, 8, 0)
    assert (parent.unprocessed, child.unprocessed, child.state) == (0, 0, TaskState.COMPLETED)
    assert set(await shop.stored("shelf")) == {f"shop-r{n}" for n in range(1, 14)}
    assert "-no date at 80" in shop.embedder.given
    assert (seen.children, seen.with_children and seen.with_children.model_dump()) == (
        [child.id],
        {"upserted": 13, "rejected": 0},
    )


async def test_nothing_that_was_not_repaired_lands(shop: Workshop, tmp_path: Path) -> None:
    """A table sent in untouched is rejected again, row by row: nothing padded, cut or guessed gets in."""
    parent = await bad_task(shop, tmp_path)
    rows = await exported(shop, parent)
    written(rows, tmp_path / "same.csv")
    child = await run(shop, TaskRequest("local", "same.csv", parent_id=parent.id))
    by_row = {int(row[0]): row[2:] for row in rows[1:]}
    again = [note.code async for note in rejections(shop.machine, child.id)]
    seen = (await status_of(shop.ledger, parent, await shop.ledger.children(parent.id))).with_children

    assert (child.counts.read, child.counts.rejected) == (8, 8)
    assert set(again) == {"not-repaired", "nul-byte", "empty-id", "unreadable-date"}
    assert by_row[2] == ["r2", "Too few", "20", MISSING]
    assert by_row[3] == ["r3", "Too", " many", f"{OPEN} too many: 30,2025-01-03"]
    assert by_row[4] == ['r4,"text"after,40,2025-01-04', MISSING, MISSING, MISSING]
    assert by_row[5][1].startswith(f"{OPEN} not UTF-8: ")
    assert by_row[8] == ["r8", "'-no date", "80", "someday"]
    assert seen is not None and (seen.upserted, seen.rejected) == (5, 8)


async def test_rows_that_were_rejected_again_are_repaired_from_the_child(
    shop: Workshop, tmp_path: Path
) -> None:
    """The child's own repair table has the same columns and values as the parent's."""
    parent = await bad_task(shop, tmp_path)
    first = await exported(shop, parent)
    written([row for row in first if row[0] != "6"], tmp_path / "same.csv")
    child = await run(shop, TaskRequest("local", "same.csv", parent_id=parent.id))
    second = await exported(shop, child)

    assert [row[2:] for row in second] == [row[2:] for row in first if row[0] != "6"]


async def test_without_an_id_column_a_repaired_row_has_the_id_it_would_have_had(
    shop: Workshop, tmp_path: Path
) -> None:
    """The id is the hash of the row's own content: neither the leading columns nor the `'` are in it."""
    wish = TaskRequest("local", "t.csv", date_column="day", start_date="2025-01-01")
    head, good = "name,=x,day\n", "-a,'=b,2025-01-01\nc,d,2025-01-02\n"
    (tmp_path / "t.csv").write_text(head + "-a,'=b,never\nc,d,2025-01-02\n")
    parent = await run(shop, wish)
    rows = await exported(shop, parent)
    assert rows[1][2:] == ["'-a", "''=b", "never"]
    rows[1][4] = "2025-01-01"
    written(rows, tmp_path / "mended.csv", ";")
    await run(shop, TaskRequest("local", "mended.csv", parent_id=parent.id))
    (tmp_path / "t.csv").write_text(head + good)
    await run(shop, replace(wish, namespace="whole"))

    assert set(await shop.stored()) == set(await shop.stored("whole"))


async def test_an_option_that_is_given_goes_before_the_parents(shop: Workshop, tmp_path: Path) -> None:
    """All else is the parent's: id column, prefix, template, metadata and types, dates and namespace."""
    parent = await bad_task(shop, tmp_path)
    written(mended(await exported(shop, parent)), tmp_path / "mended.csv")
    wish = TaskRequest("local", "mended.csv", parent_id=parent.id)
    same = (await submit(shop.machine, wish)).task.spec
    other = (await submit(shop.machine, replace(wish, namespace="other", text_columns=["title"]))).task.spec

    for name in (
        *("namespace", "id_column", "id_prefix", "text_columns", "text_template", "metadata_columns"),
        *("types", "date_column", "start_date", "end_date", "date_format"),
    ):
        assert getattr(same, name) == getattr(parent.spec, name)
    assert (other.namespace, other.text_columns, other.text_template) == ("other", ("title",), None)
    assert other.id_column == "id"


async def test_a_child_needs_a_parent_that_has_ended_and_the_parents_columns(
    shop: Workshop, tmp_path: Path
) -> None:
    """Unknown, not yet ended, another header: each is refused with its own error, and nothing recorded."""
    parent = await bad_task(shop, tmp_path)
    (tmp_path / "other.csv").write_text("_row,_reason,id,title,day,'=price\n1,x,a,b,c,d\n")
    with pytest.raises(InvalidRequest, match="in their order: id, title, =price, day"):
        await submit(shop.machine, TaskRequest("local", "other.csv", parent_id=parent.id))
    with pytest.raises(UnknownTask):
        await submit(shop.machine, TaskRequest("local", "other.csv", parent_id="nobody"))
    waiting = await submit(shop.machine, replace(WISH, namespace="again"))
    with pytest.raises(WrongState, match="has not ended"):
        await submit(shop.machine, TaskRequest("local", "bad.csv", parent_id=waiting.task.id))

    assert await shop.ledger.children(parent.id) == []


async def test_a_record_that_was_cut_waits_for_a_person(shop: Workshop, tmp_path: Path) -> None:
    """Of a very long record only the beginning is kept: it says so and where the rest is."""
    long = "x" * 70_000
    (tmp_path / "t.csv").write_text(f"a,b\n1,{long},3\n" + "".join(f"{n},fine\n" for n in range(4)))
    parent = await run(shop, TaskRequest("local", "t.csv"))
    (_, row) = await exported(shop, parent)

    assert row[2].startswith(f"{OPEN} cut, the record is bytes 4 to 70009: 1,xxx")
    assert row[3] == MISSING


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_table_to_repair_is_told_by_its_first_line(mark: str) -> None:
    """Whatever a spreadsheet saved it with, quoted or not, with a byte order mark or without."""
    for quote in ("", '"'):
        line = mark.join(f"{quote}{name}{quote}" for name in (*LEAD, "a"))
        assert delimiter_of(line.encode()) == mark
        assert delimiter_of(b"\xef\xbb\xbf" + line.encode()) == mark
    assert delimiter_of(b"id,_row,_reason\n") is None
