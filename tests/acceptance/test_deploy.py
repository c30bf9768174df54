"""A deploy: told to stop in the middle of a task, and started again. What was paid for is not paid again."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from standins.process import Standin, started
from tests.acceptance.service import Service
from tests.acceptance.test_celery import CELERY, PATIENCE, until
from tests.servers.redis import RedisServer

ROWS = 600
SETTINGS = {
    "EMBEDDER": "openai",
    "OPENAI_API_KEY": "sk-standin",
    "OPENAI_DIMENSIONS": "64",
    "OPENAI_MAX_TOKENS": "100",
    "OPENAI_REQUEST_TOKENS": "100",
    "OPENAI_REQUESTS_PER_SECOND": "4",
    "MAX_WORKERS": "1",
    "MIN_FREE_BYTES": "0",
}
"""A chunk of 300 rows is many small requests, four a second: it outlasts every stop."""


@pytest.fixture
def openai() -> Iterator[Standin]:
    with started("openai", latency={"mean": 0.5, "sigma": 0.2}) as running:
        yield running


def begun(service: Service, openai: Standin) -> str:
    """The id of a task of which some requests have been billed, and no chunk is done."""
    rows = "".join(f"r{n},text number {n}\n" for n in range(ROWS))
    (service.rows / "rows.csv").write_text("id,text\n" + rows)
    service.start()
    service.wait_alive()
    task_id = service.submit(data_source="s3_csv", s3_key="rows.csv", id_column="id", batch_size=300)
    until(lambda: openai.counters()["requests_billed"] >= 3, "nothing is billed")
    return task_id


def check(service: Service, openai: Standin, task_id: str, billed: int) -> None:
    """All rows are there, and each was billed once, though many had been when it was stopped."""
    status = service.end_of(task_id, PATIENCE)
    counted = openai.counters()
    assert (status["status"], status["progress"]["processed_records"]) == ("completed", ROWS)
    assert 0 < billed < ROWS
    assert (counted["texts_billed"], counted["texts_paid_twice"]) == (ROWS, 0)


def test_a_deploy_pays_nothing_twice(tmp_path: Path, openai: Standin) -> None:
    """SIGTERM to the service, which stops its embedded worker."""
    with Service(tmp_path, **SETTINGS, OPENAI_BASE_URL=f"{openai.url}/v1") as service:
        task_id = begun(service, openai)
        service.stop()
        billed = openai.counters()["texts_billed"]
        service.start(OPENAI_REQUESTS_PER_SECOND="1000")
        service.wait_alive()
        check(service, openai, task_id, billed)


@contextmanager
def celery(service: Service, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker; SIGTERM at the end of the block, and it has ended by itself after it."""
    whole = service._whole_environment() | environment
    with (service.folder / "celery.log").open("ab") as log:
        worker = subprocess.Popen(
            [*CELERY, "worker"], cwd=service.folder, env=whole, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield worker
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
    finally:
        worker.kill()
        worker.wait()


def test_a_deploy_of_celery_pays_nothing_twice(
    tmp_path: Path, openai: Standin, redis_server: RedisServer
) -> None:
    """SIGTERM to the program of a Celery worker: a warm stop."""
    settings = SETTINGS | {"BROKER_URL": redis_server.url, "OPENAI_BASE_URL": f"{openai.url}/v1"}
    with Service(tmp_path, **settings) as service:
        with celery(service):
            task_id = begun(service, openai)
        billed = openai.counters()["texts_billed"]
        with celery(service, OPENAI_REQUESTS_PER_SECOND="1000"):
            check(service, openai, task_id, billed)
