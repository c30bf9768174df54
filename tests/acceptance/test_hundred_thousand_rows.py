"""A hundred thousand rows through the real service, with the parts that everybody gets by default."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lancedb
import pytest

from tests.acceptance.service import Service
from tests.chaos.check import wrong_conservation, wrong_rejections, wrong_vectors
from tests.chaos.table import TEMPLATE, Record, Table, make_table

ROWS = 100_000
SEED = 7
NAMESPACE = "tickets"
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Landed:
    """The table, and the task that put it into the service."""

    service: Service
    table: Table
    task_id: str
    status: dict[str, Any]


def submit(service: Service, table: Table) -> tuple[str, dict[str, Any]]:
    task_id = service.submit(
        data_source="upload",
        file_id=service.upload(table.data),
        namespace=NAMESPACE,
        id_column="id",
        text_template=TEMPLATE,
        metadata_columns=["title"],
    )
    return task_id, service.end_of(task_id, PATIENCE)


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    """The service after it has indexed the table. The tests of this file run in order on it."""
    table = make_table(ROWS, SEED)
    with Service(tmp_path_factory.mktemp("acceptance")) as service:
        service.start()
        service.wait_alive()
        yield Landed(service, table, *submit(service, table))


def test_every_row_has_an_outcome(landed: Landed) -> None:
    """The task completes, and what was read is exactly what landed, lost to a double, or was rejected."""
    duplicates = landed.service.left_out(landed.task_id, "duplicate")

    assert landed.status["status"] == "completed"
    assert list(wrong_conservation(landed.status["conservation"], landed.table, len(duplicates))) == []


def test_the_original_progress_fields_tell_the_same(landed: Landed) -> None:
    """`total_records` is what was processed and what failed; every chunk is complete."""
    progress = landed.status["progress"]

    assert progress["total_records"] == ROWS
    assert progress["failed_records"] == len(landed.table.bad)
    assert progress["processed_records"] == ROWS - len(landed.table.bad)
    assert progress["chunks_completed"] == progress["chunks_total"] == ROWS // 1000


def test_lancedb_holds_each_id_once_with_its_last_row(landed: Landed) -> None:
    """Read by LanceDB alone: the ids of the file, no other, and of a doubled id the row that stands last."""
    across = [record for record in landed.table.good if _lost_to_another_chunk(record, landed.table)]

    assert len(across) > 100
    assert list(wrong_vectors(landed.service.data / "vectors", NAMESPACE, landed.table.expected)) == []


def test_bad_rows_are_listed_with_number_reason_and_content(landed: Landed) -> None:
    """Exactly the records that are no rows, each as it stands in the file."""
    assert list(wrong_rejections(landed.service.left_out(landed.task_id), landed.table)) == []


def test_the_service_finds_its_own_store_whole(landed: Landed) -> None:
    """`verify` expects as many vectors as there are ids, and finds them all."""
    found = landed.service.http.post(f"/api/v1/tasks/{landed.task_id}/verify").raise_for_status().json()

    assert found["ok"]
    assert (found["expected"], found["found"]) == (len(landed.table.expected),) * 2


def test_a_search_finds_a_known_row(landed: Landed) -> None:
    """The text of a row as the query brings that row first."""
    identity, row = list(landed.table.expected.items())[4711]

    answer = landed.service.http.post("/api/v1/search", json={"query": row.text, "namespace": NAMESPACE})
    best = answer.raise_for_status().json()["matches"][0]

    assert (best["id"], best["text"]) == (identity, row.text)
    assert best["score"] > 0.99
    assert best["metadata"] == {"title": row.text.partition(":")[0]}


def test_the_same_file_again_replaces_and_does_not_double(landed: Landed) -> None:
    """A second submission leaves the same ids, all of them its own; taking it out leaves nothing."""
    task_id, status = submit(landed.service, landed.table)
    vectors = landed.service.data / "vectors"
    stamped = lancedb.connect(vectors).open_table(NAMESPACE).to_arrow()["task_id"].to_pylist()

    assert task_id != landed.task_id
    assert status["conservation"] == landed.status["conservation"]
    assert list(wrong_vectors(vectors, NAMESPACE, landed.table.expected)) == []
    assert set(stamped) == {task_id}

    removed = landed.service.http.delete(f"/api/v1/tasks/{task_id}/vectors").raise_for_status().json()

    assert removed["removed"] == len(landed.table.expected)
    assert lancedb.connect(vectors).open_table(NAMESPACE).count_rows() == 0


def _lost_to_another_chunk(record: Record, table: Table) -> bool:
    winner = table.expected[record.fields()[0]].row_number
    return (winner - 1) // 1000 != (record.number - 1) // 1000
