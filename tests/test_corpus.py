"""Every file of the corpus goes through the machine, from door to store, and ends as it is written down."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.api.status import WithChildren
from rowvec.errors import RequestRefused, TaskFailed
from rowvec.intake import TaskRequest, submit
from rowvec.manifest import Manifest
from rowvec.model import Chunk, Counts, Task, TaskState
from rowvec.rejected import decode, done_chunks, doubles_name, notes_of, rejections
from rowvec.repair import repair_table, unguarded
from rowvec.storing import vector_ids
from tests.corpus_kit import Bench, Case, Completed, Failed, Refused, Rejected, cases

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]
CASES = cases()
CHUNK_SIZES = (1, 2, 3)


def of(*ends: type) -> pytest.MarkDecorator:
    """The cases that end so."""
    return pytest.mark.parametrize("case", [case for case in CASES if isinstance(case.end, ends)], ids=str)


def at_each_size(case: Case, rows: int) -> list[TaskRequest]:
    """The same wish in chunks of each size, in a namespace of its own; sizes that hold all rows are one."""
    sizes = [size for size in CHUNK_SIZES if size < rows]
    return [case.wish(chunk_size=size, namespace=f"by-{size}") for size in (*sizes, 1000)]


# Refused


@of(Refused)
async def test_what_is_no_table_is_refused_at_the_door(tmp_path: Path, case: Case) -> None:
    """With the code and the words that are written down, and without a trace."""
    end = case.end
    assert isinstance(end, Refused)
    bench = Bench(tmp_path, case)
    await bench.ledger.ready()
    with pytest.raises((RequestRefused, TaskFailed)) as refusal:
        await submit(bench.machine, case.wish())

    assert (refusal.value.code, getattr(refusal.value, "field", None)) == (end.code, end.field)
    assert end.says in refusal.value.message
    assert (await bench.ledger.tasks()).tasks == []


# Failed


@of(Failed)
async def test_what_turns_out_to_be_no_table_fails_before_anything_is_spent(
    tmp_path: Path, case: Case
) -> None:
    """The task says why; nothing was embedded, stored or counted, whatever the size of the chunks."""
    end = case.end
    assert isinstance(end, Failed)
    bench = Bench(tmp_path, case)
    for task in await bench.run(at_each_size(case, 2)):
        assert (task.state, task.counts, task.unprocessed) == (TaskState.FAILED, Counts(), 0)
        assert end.says in (task.error or "")
        assert await bench.stored(task.spec.namespace) == {}
    assert bench.embedder.given == []


# Completed


@of(Completed)
async def test_every_row_comes_to_the_end_that_is_written_down(tmp_path: Path, case: Case) -> None:
    """Landed, rejected, doubled or filtered as expected, and the same whatever the size of the chunks."""
    end = case.end
    assert isinstance(end, Completed)
    bench = Bench(tmp_path, case)
    for task in await bench.run(at_each_size(case, end.rows)):
        assert (task.state, task.error) == (TaskState.COMPLETED, None)
        assert_account(task, end)
        chunks = [chunk async for chunk in done_chunks(bench.ledger, task.id)]
        await assert_notes(bench, task, chunks, end)
        await assert_stored(bench, task, chunks, end)


def assert_account(task: Task, end: Completed) -> None:
    """The counts are those written down, and they add up."""
    counts = task.counts
    assert (counts.read, task.rows_planned, task.blank_lines) == (end.rows, end.rows, end.blank_lines)
    assert (counts.upserted, counts.unchanged, counts.filtered) == (len(end.landed), 0, len(end.filtered))
    assert (counts.duplicate, counts.rejected) == (len(end.duplicate), len(end.rejected))
    assert (counts.warnings, task.unprocessed) == (len(end.warnings), 0)
    sums = counts.upserted + counts.unchanged + counts.filtered + counts.duplicate + counts.rejected
    assert counts.read == sums + task.unprocessed


async def assert_notes(bench: Bench, task: Task, chunks: Sequence[Chunk], end: Completed) -> None:
    """Every row that was left out is listed with its reason, and no other is."""
    files = bench.machine.files
    notes = [note for chunk in chunks for note in await notes_of(files, chunk)]
    notes += decode(await files.read(doubles_name(task.id)))
    notes.sort(key=lambda note: note.row)
    rejected, doubled, warned = (
        [note for note in notes if note.outcome == outcome]
        for outcome in ("rejected", "duplicate", "warning")
    )
    assert [(note.row, note.line, note.code) for note in rejected] == [
        (wanted.row, wanted.line, wanted.code) for wanted in end.rejected
    ]
    assert [(note.row, note.code) for note in doubled] == [(row, "doubled-id") for row in end.duplicate]
    assert [note.row for note in warned] == [wanted.row for wanted in end.warnings]
    for note, says in zip([*rejected, *warned], words_of(end), strict=True):
        assert says in note.reason
    for note in doubled:
        [later] = re.findall(r"^row (\d+) has the same id", note.reason)
        assert note.row < int(later) <= end.rows


def words_of(end: Completed) -> list[str]:
    return [wanted.says for wanted in end.rejected] + [wanted.says for wanted in end.warnings]


async def assert_stored(bench: Bench, task: Task, chunks: Sequence[Chunk], end: Completed) -> None:
    """The store holds the vectors of the manifests, and those are the rows that are to land."""
    namespace = task.spec.namespace
    stored = await bench.stored(namespace)
    assert stored == await of_manifests(bench, chunks)
    assert stored == {
        vector_id: number
        for row_id, number in end.numbers.items()
        for vector_id in vector_ids(row_id, end.passages.get(row_id, 1))
    }
    found = await bench.found(namespace)
    assert {row_id: found[row_id][0] for row_id in end.texts} == end.texts
    assert {row_id: found[row_id][1] for row_id in end.metadata} == end.metadata


async def of_manifests(bench: Bench, chunks: Sequence[Chunk]) -> dict[str, int]:
    """Row numbers by vector id; of a doubled id the manifest of the later chunk holds."""
    files = bench.machine.files
    manifests = [
        Manifest.decode(await files.read(chunk.files.manifest)) for chunk in chunks if chunk.files.manifest
    ]
    return {
        vector_id: number
        for some in manifests
        for row_id, number, passages in zip(some.ids, some.row_numbers, some.passages, strict=True)
        for vector_id in vector_ids(row_id, passages)
    }


# Repaired


REPAIRED = [case for case in CASES if isinstance(case.end, Completed) and case.end.rejected]


@pytest.mark.parametrize("case", REPAIRED, ids=str)
async def test_what_was_rejected_is_mended_and_lands(tmp_path: Path, case: Case) -> None:
    """The table to repair lists exactly the rejected rows; once mended they land, and none is left over."""
    end = case.end
    assert isinstance(end, Completed)
    bench = Bench(tmp_path, case)
    [parent] = await bench.run([case.wish(chunk_size=2)])
    before = set(await bench.stored())
    table = await to_repair(bench, parent)
    assert [int(row[0]) for row in table[1:]] == [wanted.row for wanted in end.rejected]

    written([table[0], *map(mended, table[1:], end.rejected)], tmp_path / "mended.csv")
    bench.lift_limits()
    [child] = await bench.run([TaskRequest("local", "mended.csv", parent_id=parent.id)])

    left = [note async for note in rejections(bench.machine, child.id)]
    assert (child.state, left) == (TaskState.COMPLETED, [])
    assert child.counts.upserted == child.counts.read == len(end.rejected)
    assert set(await bench.stored()) == before | {wanted.mended_id for wanted in end.rejected}
    together = WithChildren.of(parent, await bench.ledger.children(parent.id))
    assert (together.upserted, together.rejected) == (len(end.landed) + len(end.rejected), 0)


def mended(row: Sequence[str], wanted: Rejected) -> list[str]:
    """What a person makes of a row of the table: what is right stays as it came, all else is put right."""
    cells = zip(row[2:], wanted.mended, strict=True)
    return [*row[:2], *(came if unguarded(came) == right else right for came, right in cells)]


async def to_repair(bench: Bench, task: Task) -> list[list[str]]:
    data = b"".join([line async for line in repair_table(bench.machine, task)])
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def written(rows: Sequence[Sequence[str]], path: Path) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
