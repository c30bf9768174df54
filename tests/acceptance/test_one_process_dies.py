"""The service when only a part of it is killed: the worker, or the server over it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.workers.priority import NICENESS
from tests.acceptance.service import Service
from tests.chaos.check import wrong_conservation, wrong_vectors
from tests.chaos.table import TEMPLATE, Table, make_table

ROWS = 4_000
PATIENCE = 60.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Slowed by its embedder, so that the task is still at work when it is hit."""
    marked = {"CHAOS_MARKS": str(tmp_path / "marks"), "CHAOS_LIFE": "0", "CHAOS_EMBEDDER": "memory"}
    with Service(
        tmp_path, EMBEDDER="tests.chaos.parts:MarkedEmbedder", CHAOS_PACE="0.1", **marked
    ) as service:
        service.start()
        service.wait_alive()
        yield service


def begin(service: Service, table: Table) -> str:
    """A task of which some chunks are done and most are not."""
    task_id = service.submit(
        data_source="upload",
        file_id=service.upload(table.data),
        batch_size=100,
        id_column="id",
        text_template=TEMPLATE,
    )
    service.until(task_id, lambda status: status["progress"]["chunks_completed"] >= 2, PATIENCE)
    return task_id


def assert_whole(service: Service, task_id: str, table: Table) -> None:
    status = service.end_of(task_id, PATIENCE)
    duplicates = len(service.left_out(task_id, "duplicate"))
    assert status["status"] == "completed"
    assert list(wrong_conservation(status["conservation"], table, duplicates)) == []
    assert list(wrong_vectors(service.data / "vectors", "default", table.expected)) == []


def test_a_killed_worker_is_started_again_by_the_server(service: Service) -> None:
    """The server goes on answering, starts another worker, and the task ends whole. Both stand back."""
    table = make_table(ROWS, seed=3)
    task_id = begin(service, table)

    killed = service.worker()
    assert killed.nice() == min(19, os.nice(0) + NICENESS)
    killed.kill()
    answered = service.status(task_id)["status"]
    assert_whole(service, task_id, table)

    assert answered == "processing"
    assert service.worker().pid != killed.pid
    assert service.worker().nice() == min(19, os.nice(0) + NICENESS)


def test_a_worker_whose_server_is_killed_ends_and_leaves_the_work_to_the_next(service: Service) -> None:
    """No worker is left behind without a server; the next server's worker brings the task to its end."""
    table = make_table(ROWS, seed=4)
    task_id = begin(service, table)

    orphan = service.worker()
    service.kill_server()
    orphan.wait(PATIENCE)
    service.start()
    service.wait_alive()

    assert_whole(service, task_id, table)
