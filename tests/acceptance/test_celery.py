"""The service with Celery workers on Redis, all of them real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from redis import Redis

from app.workers.celery_app import QUEUE
from app.workers.priority import NICENESS
from tests.acceptance.production import CeleryWorker, freeze
from tests.acceptance.service import ROOT, Service
from tests.servers import redis
from tests.servers.redis import RedisServer

PATIENCE = 120.0
CELERY = [sys.executable, "-m", "celery", "-A", "app.workers.celery_app"]


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def active(service: Service) -> int:
    return int(service.http.get("/health").json()["workers"]["active"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis.running(folder) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, broker: RedisServer) -> Iterator[Service]:
    """Its table has 2,000 rows; what is started beside it is killed with it."""
    settings = {
        "BROKER_URL": broker.url,
        "EMBEDDER": "memory",
        "MAX_WORKERS": "2",
        "MIN_FREE_BYTES": "0",
    }
    with Service(tmp_path, **settings) as service:
        rows = "".join(f"r{n},text number {n}\n" for n in range(2_000))
        (service.rows / "rows.csv").write_text("id,text\n" + rows)
        service.start()
        service.wait_alive()
        yield service


@pytest.fixture
def celery(service: Service) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker whose two processes are both alive in the ledger."""
    environment = service._whole_environment()
    with (service.folder / "celery.log").open("ab") as log:
        worker = subprocess.Popen([*CELERY, "worker"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: active(service) == 2, "no two workers")
        yield worker
    finally:
        if worker.poll() is None:
            for child in psutil.Process(worker.pid).children(recursive=True):
                child.kill()
            worker.kill()
        worker.wait()


def test_celery_works_for_the_service(service: Service, celery: subprocess.Popen[bytes]) -> None:
    """A task lands whole; health and `inspect active` answer; told to stop, the workers leave the ledger."""
    task_id = service.submit(data_source="s3_csv", s3_key="rows.csv", id_column="id", batch_size=50)
    status = service.end_of(task_id, PATIENCE)
    told = subprocess.run(
        [*CELERY, "inspect", "active"], cwd=ROOT, env=service._whole_environment(), capture_output=True
    )

    assert (status["status"], status["progress"]["processed_records"]) == ("completed", 2_000)
    assert service.http.get("/health").json()["redis"] == "connected"
    assert b"1 node online" in told.stdout
    celery.send_signal(signal.SIGTERM)
    assert celery.wait(PATIENCE) == 0
    assert active(service) == 0


def test_all_of_its_processes_stand_back(service: Service, celery: subprocess.Popen[bytes]) -> None:
    """Behind the API's answers, where they share a host."""
    program = psutil.Process(celery.pid)
    assert {one.nice() for one in (program, *program.children())} == {min(19, os.nice(0) + NICENESS)}


def test_a_lost_broker_ends_no_process_and_brings_no_warning(
    service: Service, celery: subprocess.Popen[bytes], broker: RedisServer
) -> None:
    """Redis is killed and comes back empty while both work on the message that called them."""
    pool = {process.pid for process in psutil.Process(celery.pid).children()}
    log = service.folder / "celery.log"
    task_id = service.submit(data_source="s3_csv", s3_key="rows.csv", id_column="id", batch_size=4)
    service.until(task_id, lambda status: status["progress"]["chunks_completed"] > 0, PATIENCE)
    broker.lose()
    until(lambda: b"Connection to broker lost" in log.read_bytes(), "Celery does not see it")
    midway = service.status(task_id)["status"]
    status = service.end_of(task_id, PATIENCE)

    assert (midway, status["status"]) == ("processing", "completed")
    assert {process.pid for process in psutil.Process(celery.pid).children()} == pool
    assert b"Deprecat" not in log.read_bytes()


def test_no_process_works_on_without_its_parent(service: Service, celery: subprocess.Popen[bytes]) -> None:
    """When Celery is killed, the processes of its pool end, and health says that nobody works."""
    pool = psutil.Process(celery.pid).children(recursive=True)
    celery.kill()
    celery.wait()
    gone, left = psutil.wait_procs(pool, PATIENCE)
    for process in left:
        process.kill()
    health = service.http.get("/health").json()
    assert (len(gone), left) == (2, [])
    assert health["workers"] == {"active": 0, "available": 0}
    assert "No worker is alive" in health["message"]


def test_without_a_broker_celery_says_what_it_needs(tmp_path: Path) -> None:
    """BROKER_URL is named, and nothing is started."""
    with Service(tmp_path) as service:
        ended = subprocess.run(
            [*CELERY, "worker"],
            cwd=ROOT, env=service._whole_environment(), capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
    assert ended.returncode == 1
    assert b"error: Celery workers need BROKER_URL" in ended.stderr


def test_a_busy_process_leaves_the_doorbell_to_an_idle_one(tmp_path: Path, redis_server: RedisServer) -> None:
    """While the only process works, messages for others wait in the queue; the next process hears them."""
    settings = {"BROKER_URL": redis_server.url, "EMBEDDER": "memory"}
    with Service(tmp_path, **settings, MAX_WORKERS="1", MIN_FREE_BYTES="0") as service, ExitStack() as ending:
        (service.rows / "rows.csv").write_text(
            "id,text\n" + "".join(f"r{n},text {n}\n" for n in range(8_000))
        )
        service.start()
        service.wait_alive()
        broker = ending.enter_context(Redis.from_url(redis_server.url))
        busy, idle = CeleryWorker(service, "busy"), CeleryWorker(service, "idle")
        ending.callback(busy.kill)
        ending.callback(idle.kill)
        busy.start()
        until(lambda: active(service) == 1, "no worker")
        task_id = service.submit(data_source="s3_csv", s3_key="rows.csv", id_column="id", batch_size=50)
        until(lambda: service.status(task_id)["progress"]["processed_records"] > 0, "no chunk is done")
        (process,) = busy.pool()
        freeze(process)
        told = reserved(service)
        waiting = broker.llen(QUEUE)
        idle.start()
        until(lambda: broker.llen(QUEUE) == 0, "nobody hears the doorbell")
        process.resume()
        status = service.end_of(task_id, PATIENCE)

    assert told == []
    assert 1 <= waiting <= len(("a new task", "its first chunk", "its second", "the rest"))
    assert status["status"] == "completed"


def reserved(service: Service) -> list[object]:
    """Messages that Celery has taken from the queue and not begun."""
    told = subprocess.run(
        [*CELERY, "inspect", "reserved", "--json"],
        cwd=ROOT, env=service._whole_environment(), capture_output=True,
    )  # fmt: skip
    return [message for messages in json.loads(told.stdout).values() for message in messages]
