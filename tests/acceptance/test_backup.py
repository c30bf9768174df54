"""A backup taken by the documented commands while a task runs, restored elsewhere: the task ends right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.keys import make_key
from rowvec.ledgers.sql import SqlLedger
from rowvec.tally import Tally
from rowvec.usage import Usage
from standins.pinecone.settings import KEY as PINECONE_KEY
from standins.process import started
from tests.acceptance.documented import documented
from tests.acceptance.goods import TEMPLATE as GOODS_TEMPLATE
from tests.acceptance.goods import make_goods, wrong
from tests.acceptance.production import INDEX, INDEXES, OPENAI_KEY
from tests.acceptance.service import Service
from tests.chaos.check import wrong_conservation, wrong_vectors
from tests.chaos.table import TEMPLATE, make_table
from tests.contracts.ledger_kit import planned_task, worker
from tests.servers.postgres import PostgresServer

PATIENCE = 120.0


def half_done(service: Service, task_id: str) -> dict[str, Any]:
    return service.until(task_id, lambda status: status["progress"]["chunks_completed"] >= 3, PATIENCE)


def test_an_embedded_service_is_copied_while_it_works(tmp_path: Path) -> None:
    """Ledger, files and vectors; the copy knows of less than was done, and goes on from there."""
    table = make_table(2_000, seed=6)
    parts = {
        "EMBEDDER": "tests.chaos.parts:MarkedEmbedder", "CHAOS_MARKS": str(tmp_path / "marks"),
        "CHAOS_LIFE": "0", "CHAOS_EMBEDDER": "memory", "CHAOS_PACE": "0.3",
    }  # fmt: skip
    copy = tmp_path / "second" / "data"
    copy.mkdir(parents=True)
    with Service(tmp_path / "first", **parts) as first:
        first.start()
        first.wait_alive()
        task_id = first.submit(
            data_source="upload", file_id=first.upload(table.data), batch_size=100,
            id_column="id", text_template=TEMPLATE,
        )  # fmt: skip
        half_done(first, task_id)
        documented("backup: embedded", first.folder, DATA_DIR=str(first.data), TO=str(copy), **parts)
        assert first.end_of(task_id, PATIENCE)["status"] == "completed"
    with Service(tmp_path / "second", **parts) as second:
        second.start()
        second.wait_alive()
        begun = second.status(task_id)
        ended = second.end_of(task_id, PATIENCE)
        duplicates = len(second.left_out(task_id, "duplicate"))
        verified = second.http.post(f"/api/v1/tasks/{task_id}/verify").raise_for_status().json()

    assert begun["status"] == "processing" and begun["progress"]["chunks_completed"] < 20
    assert ended["status"] == "completed" and verified["ok"]
    assert list(wrong_conservation(ended["conservation"], table, duplicates)) == []
    assert list(wrong_vectors(copy / "vectors", "default", table.expected)) == []


def test_a_ledger_in_postgresql_is_set_back_to_the_midst_of_a_task(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """The index and the files go on as they are: what was done after the dump is done again, alike."""
    goods = make_goods(3_000, seed=8, doubled=30, bad=3)
    old, new = postgres_server.new_database(), postgres_server.new_database()
    with (
        started("openai", key=OPENAI_KEY, latency={"mean": 0.4, "sigma": 0.2}) as openai,
        started("pinecone", indexes=INDEXES, keep_vectors=0) as pinecone,
    ):
        parts = {
            "EMBEDDER": "openai", "OPENAI_API_KEY": OPENAI_KEY, "OPENAI_BASE_URL": f"{openai.url}/v1",
            "VECTOR_STORE_URL": f"pinecone://{INDEX}", "PINECONE_API_KEY": PINECONE_KEY,
            "PINECONE_CONTROLLER_HOST": pinecone.url, "FILE_STORE_URL": f"file://{tmp_path}/files",
            "MIN_FREE_BYTES": "0", "LEASE_SECONDS": "5",
        }  # fmt: skip
        with Service(tmp_path / "one", **parts, LEDGER_URL=old) as one:
            one.start()
            one.wait_alive()
            task_id = one.submit(
                data_source="upload", file_id=one.upload(goods.data), batch_size=50,
                id_column="id", text_template=GOODS_TEMPLATE, namespace="shop",
            )  # fmt: skip
            half_done(one, task_id)
            documented("backup: postgresql", tmp_path, LEDGER_URL=old)
            assert one.end_of(task_id, PATIENCE)["status"] == "completed"
        documented("restore: postgresql", tmp_path, NEW_LEDGER_URL=new)
        openai.set(latency={})
        with Service(tmp_path / "two", **parts, LEDGER_URL=new) as two:
            two.start()
            two.wait_alive()
            begun = two.status(task_id)
            ended = two.end_of(task_id, PATIENCE)
            verified = two.http.post(f"/api/v1/tasks/{task_id}/verify").raise_for_status().json()
            rejected = sorted(line["row"] for line in two.left_out(task_id))
        landed = pinecone.ask("/_standin/landed", {"index": INDEX, "namespace": "shop"})

    assert begun["status"] == "processing" and begun["progress"]["chunks_completed"] < 60
    assert (ended["status"], ended["error"], verified["ok"]) == ("completed", None, True)
    account = ended["conservation"]
    assert (account["read"], account["upserted"]) == (goods.rows, len(goods.winners))
    assert rejected == goods.bad
    assert list(wrong(landed, goods.landed(task_id))) == []


async def filled(url: str) -> None:
    """A ledger at that address with something in each of its tables."""
    ledger = SqlLedger(url)
    await ledger.ready()
    for name in ("w", "v"):
        await ledger.enlist(worker(name))
    await ledger.bind_namespace("shop", "hash", 4)
    await planned_task(ledger, 2)
    await ledger.beat("v", 0, usage=Usage(tally=Tally({"upserted": 6})))
    await ledger.retire("v")
    await ledger.add_key(make_key("shop", 0.0)[0])
    await ledger.draw("acme", 3, 5)
    await ledger.pause_provider("embedder", "a test")
    await ledger.close()


def tables(url: str) -> dict[str, list[str]]:
    """All rows of every table there, as text."""
    with psycopg.connect(url) as connection:
        named = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {
            name: [row for (row,) in connection.execute(f'SELECT t::text FROM "{name}" t ORDER BY 1')]
            for (name,) in named
        }


@pytest.mark.anyio
async def test_every_table_of_a_ledger_comes_back(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Keys, pauses, limits that are used up and sums of the departed, too: row by row as they were."""
    old, new = postgres_server.new_database(), postgres_server.new_database()
    await filled(old)
    documented("backup: postgresql", tmp_path, LEDGER_URL=old)
    documented("restore: postgresql", tmp_path, NEW_LEDGER_URL=new)
    before = tables(old)
    assert [name for name, rows in before.items() if not rows] == []
    assert tables(new) == before
