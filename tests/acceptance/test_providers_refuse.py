"""OpenAI and Pinecone refuse what the service and its two worker processes ask: all of it, or single rows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from standins.pinecone.settings import KEY
from standins.process import Standin, started
from tests.acceptance.service import ENDED, Service
from tests.servers.redis import RedisServer

PATIENCE = 120.0
DIMENSION = 64
LIMITS = {"requests_per_second": 20, "tokens_per_minute": 5e6}
USUAL: dict[str, Any] = {"latency": {}, "marker": None, "billing": None, "credit_tokens": None} | LIMITS

REASONS = {
    "refused-by-embedder": "'$.input' is invalid",
    "refused-by-store": "The request contains a record that cannot be stored.",
}


@dataclass(frozen=True)
class Stack:
    service: Service
    openai: Standin
    pinecone: Standin

    def submit(self, rows: list[str], **more: Any) -> str:
        """The id of a task over rows `row-0`, `row-1` and so on, in a namespace of its own."""
        table = "id,text\n" + "".join(f"row-{n},{text}\n" for n, text in enumerate(rows))
        file_id = self.service.upload(table.encode())
        return self.service.submit(
            data_source="upload",
            file_id=file_id,
            id_column="id",
            text_columns=["text"],
            namespace=file_id,
            **more,
        )

    def in_hand(self, task_id: str) -> int:
        """Chunks that a worker holds."""
        return sum(chunk["state"] == "claimed" for chunk in self.service.chunks(task_id))

    def landed(self, namespace: str) -> set[str]:
        return set(self.pinecone.ask("/_standin/landed", {"index": "refusing", "namespace": namespace}))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Stack]:
    index = {"name": "refusing", "dimension": DIMENSION}
    with started("openai", **USUAL) as openai, started("pinecone", indexes=[index]) as pinecone:
        settings = {
            "BROKER_URL": redis_server.url,
            "EMBEDDER": "openai",
            "OPENAI_API_KEY": "sk-standin",
            "OPENAI_BASE_URL": f"{openai.url}/v1",
            "OPENAI_DIMENSIONS": str(DIMENSION),
            "VECTOR_STORE_URL": "pinecone://refusing",
            "PINECONE_API_KEY": KEY,
            "PINECONE_CONTROLLER_HOST": pinecone.url,
            "MAX_WORKERS": "2",
            "MIN_FREE_BYTES": "0",
        }
        with Service(tmp_path_factory.mktemp("refusing"), **settings) as service:
            service.start()
            service.wait_alive()
            with two_workers(service):
                yield Stack(service, openai, pinecone)


@contextmanager
def two_workers(service: Service) -> Iterator[None]:
    """A Celery worker whose two processes are alive in the ledger; killed at the end."""
    command = [sys.executable, "-m", "celery", "-A", "app.workers.celery_app", "worker"]
    with (service.folder / "celery.log").open("ab") as log:
        worker = subprocess.Popen(
            command, cwd=service.folder, env=service._whole_environment(), stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while service.http.get("/health").json()["workers"]["active"] < 2:
            if time.monotonic() > deadline:
                raise TimeoutError("no two workers")
            time.sleep(0.05)
        yield
    finally:
        for child in psutil.Process(worker.pid).children(recursive=True):
            child.kill()
        worker.kill()
        worker.wait()


@pytest.fixture
def stack(running: Stack) -> Stack:
    """Its stand-ins have counted nothing yet and refuse nothing."""
    running.openai.set(**USUAL)
    running.pinecone.set(refuse="")
    running.openai.reset()
    running.pinecone.reset()
    return running


def stopped(status: dict[str, Any]) -> bool:
    return status["status"] in (*ENDED, "paused")


def test_an_account_without_money_pauses_the_task_and_nothing_is_paid_twice(stack: Stack) -> None:
    """Each process asks once more at most; after the resume whoever takes a chunk pays for its rest only."""
    rows = [f"row {n} " + "has a hundred words " * 40 for n in range(3_000)]
    stack.openai.set(latency={"mean": 0.25, "sigma": 0.5}, credit_tokens=400_000)
    task_id = stack.submit(rows, batch_size=500)
    paused = stack.service.until(task_id, stopped, PATIENCE)
    stack.service.until(task_id, lambda _: not stack.in_hand(task_id), PATIENCE)
    refused = stack.openai.counters()["billing_refusals"]
    stack.openai.set(credit_tokens=None)
    stack.service.http.post(f"/api/v1/tasks/{task_id}/resume").raise_for_status()
    ended = stack.service.until(task_id, stopped, PATIENCE)

    assert paused["status"] == "paused" and "exceeded your current quota" in paused["hold_reason"]
    assert 1 <= refused <= 3
    assert (ended["status"], ended["conservation"]["upserted"]) == ("completed", 3_000)
    counted = stack.openai.counters()
    assert (counted["texts_billed"], counted["texts_paid_twice"]) == (3_000, 0)


def test_exactly_the_rows_that_a_provider_refuses_are_rejected(stack: Stack) -> None:
    """One in a thousand by either: with its reason, at 21 more requests each at most; all others land."""
    bitter, poisoned = {17, 1_999, 2_400}, {0, 1_500, 2_401}
    rows = [
        f"text {n}{' bitter' if n in bitter else ''}{' poison' if n in poisoned else ''}"
        for n in range(3_000)
    ]
    stack.openai.set(marker="bitter")
    stack.pinecone.set(refuse="poison")
    task_id = stack.submit(rows)
    ended = stack.service.end_of(task_id, PATIENCE)
    left_out = stack.service.left_out(task_id)

    assert (ended["status"], ended["conservation"]["upserted"]) == ("completed", 2_994)
    refused = {code: {n["row"] - 1: n["reason"] for n in left_out if n["code"] == code} for code in REASONS}
    assert {code: set(rows) for code, rows in refused.items()} == {
        "refused-by-embedder": bitter,
        "refused-by-store": poisoned,
    }
    assert len(left_out) == 6
    assert all(REASONS[code] in why for code, rows in refused.items() for why in rows.values())
    assert stack.landed(ended["namespace"]) == {
        f"row-{n}" for n in range(3_000) if n not in bitter | poisoned
    }
    chunks = ended["analysis"]["chunks"]
    assert stack.openai.counters()["requests"] <= chunks + 21 * len(bitter)
    assert stack.pinecone.counters()["upsert"] <= chunks + 21 * len(poisoned)
    assert stack.openai.counters()["texts_paid_twice"] == 0
