"""The whole service with its ledger in DynamoDB, also when its worker is killed."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.service import Service
from tests.chaos.check import wrong_conservation, wrong_vectors
from tests.chaos.table import TEMPLATE, make_table
from tests.contracts.ledger_kit import new_table
from tests.servers.moto import Moto

ROWS = 1_500
PATIENCE = 120.0


def test_a_killed_worker_loses_nothing(tmp_path: Path, moto: Moto) -> None:
    """The table is made at the start, health tells of it, and a task whose worker dies ends whole."""
    table = make_table(ROWS, seed=5)
    marked = {"CHAOS_MARKS": str(tmp_path / "marks"), "CHAOS_LIFE": "0", "CHAOS_EMBEDDER": "memory"}
    slow = {"EMBEDDER": "tests.chaos.parts:MarkedEmbedder", "CHAOS_PACE": "0.1", **marked}
    with Service(tmp_path, LEDGER_URL=new_table(), **moto.settings, **slow) as service:
        service.start()
        service.wait_alive()
        task_id = service.submit(
            data_source="upload",
            file_id=service.upload(table.data),
            batch_size=100,
            id_column="id",
            text_template=TEMPLATE,
        )
        service.until(task_id, lambda status: status["progress"]["chunks_completed"] >= 2, PATIENCE)
        health = service.http.get("/api/v1/health").json()
        killed = service.worker()
        killed.kill()
        status = service.end_of(task_id, PATIENCE)
        duplicates = len(service.left_out(task_id, "duplicate"))

    assert (health["ledger"], health["dynamodb"]) == ("connected", "connected")
    assert status["status"] == "completed"
    assert list(wrong_conservation(status["conservation"], table, duplicates)) == []
    assert list(wrong_vectors(service.data / "vectors", "default", table.expected)) == []
