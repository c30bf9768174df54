"""Prometheus scrapes two processes of the service beside a worker; each alert fires on what is injected."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from standins.process import started
from tests.http_service import KEPT, ROOT, Running, follow, free_port, serve
from tests.servers.distance import Distance, distance
from tests.servers.postgres import PostgresServer
from tests.servers.process import Server
from tests.servers.redis import RedisServer

KEY = secrets.token_hex(24)
PATIENCE = 60.0
WAITING = 101
SLOW_ANSWERS = 20
TABLE = "table.csv"
RULES = ROOT / "infrastructure/prometheus/alerts.yml"
BOARD = ROOT / "infrastructure/grafana/vectordb.json"
TABLE_OF_DOCS = ROOT / "docs/operations.md"
NAME = re.compile(r"vectordb_[a-z_]+")


@dataclass
class Plant:
    """A service of two processes, whose worker comes and goes, and the way to its ledger."""

    service: Running
    folder: Path
    settings: dict[str, str]
    ledger: Distance
    names: set[str] = field(default_factory=set)
    """All that was there when a task had been done, and its worker was still alive."""

    @property
    def client(self) -> httpx2.Client:
        """A connection of its own, so that either process may be the one that answers."""
        return self.service.client(KEY)

    def submit(self, key: str) -> str:
        with self.client as client:
            wish = {"data_source": "s3_csv", "s3_key": TABLE, "id_column": "id"}
            answer = client.post("/api/v1/process", json=wish, headers={"Idempotency-Key": key})
            return str(answer.raise_for_status().json()["task_id"])

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        with self.client as client:
            text = client.get("/metrics").raise_for_status().text
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def sample(self, name: str, **labels: str) -> float | None:
        return self.samples().get((name, tuple(sorted(labels.items()))))

    @contextmanager
    def embedder_paused(self) -> Iterator[None]:
        with self.client as client:
            client.post("/api/v1/providers/embedder/pause", json={"reason": "a test"}).raise_for_status()
        try:
            yield
        finally:
            with self.client as client:
                client.post("/api/v1/providers/embedder/resume").raise_for_status()

    @contextmanager
    def at_a_standstill(self) -> Iterator[None]:
        """No process of the service goes on. Connections are still taken, by the system."""
        processes = [psutil.Process(self.service.process.pid)]
        processes += processes[0].children(recursive=True)
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    @contextmanager
    def worker(self, module: str = "app.workers.embedded") -> Iterator[None]:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= self.settings | {"DATA_DIR": str(self.folder / "data"), "PYTHONPATH": str(ROOT)}
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module],
                cwd=self.folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer, postgres_server: PostgresServer
) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    (folder / "rows").mkdir()
    (folder / "rows" / TABLE).write_text("id,text\n1,one\n2,two\n")
    with started("openai") as openai, distance(postgres_server.port) as ledger:
        address = postgres_server.new_database()
        settings = {
            "API_KEYS": KEY,
            "LEDGER_URL": address.replace(f":{postgres_server.port}/", f":{ledger.port}/"),
            "EMBEDDER": "openai",
            "OPENAI_API_KEY": "sk-standin",
            "OPENAI_BASE_URL": f"{openai.url}/v1",
            "OPENAI_DIMENSIONS": "64",
            "OPENAI_TOKENS_PER_MINUTE": "1000000",
            "LOCAL_FILES_DIR": str(folder / "rows"),
            "LEASE_SECONDS": "6",
            "MIN_FREE_BYTES": "0",
        }
        gunicorn = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "app.main:app"]
        command = [*gunicorn, "-w", "2", "-k", "uvicorn_worker.UvicornWorker", "--bind", "fd://{fd}"]
        with serve(command, folder, BROKER_URL=redis_server.url, **settings) as service:
            it = Plant(service, folder, settings, ledger)
            with it.worker(), it.client as client:
                assert follow(client, it.submit("first"))[-1] == "end"
                until(lambda: it.sample("vectordb_rows_total", outcome="upserted") == 2)
                it.names = {name for name, _ in it.samples()}
            yield it


def until(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up, "it is not so after a minute"
        time.sleep(0.1)


def base(name: str) -> str:
    """Of a histogram that is used by its buckets or its count."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


def test_what_alerts_and_dashboard_ask_for_is_there(plant: Plant) -> None:
    board = json.loads(BOARD.read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel.get("targets", ()))
    rules = " ".join(line for line in RULES.read_text().splitlines() if "alert:" not in line)
    names = set(NAME.findall(asked)) | set(NAME.findall(rules))
    assert len(names) > 10
    assert names - plant.names == set()


def test_the_table_of_the_documentation_is_what_is_there(plant: Plant) -> None:
    rows = [line for line in TABLE_OF_DOCS.read_text().splitlines() if line.startswith("| `vectordb_")]
    told = {NAME.findall(row.split("|")[1])[0] for row in rows}
    assert told == {base(name) for name in plant.names}


def test_what_the_work_came_to_outlives_its_worker(plant: Plant) -> None:
    """The worker has left; rows, tokens and dollars stay."""
    until(lambda: plant.sample("vectordb_workers", state="alive") == 0)
    assert plant.sample("vectordb_rows_total", outcome="upserted") == 2
    assert (plant.sample("vectordb_tokens_total") or 0) > 0
    assert (plant.sample("vectordb_dollars_total") or 0) > 0
    assert (plant.sample("vectordb_chunk_seconds_total") or 0) > 0


def test_processes_count_their_answers_together(plant: Plant) -> None:
    """Whichever answers tells of all; no id is a label."""
    labels = {"method": "GET", "route": "/api/v1/status/{task_id}", "status": "404"}
    for _ in range(20):
        with plant.client as client:
            assert client.get("/api/v1/status/00000000-0000-4000-8000-000000000000").status_code == 404
    counts = {plant.sample("vectordb_http_request_duration_seconds_count", **labels) for _ in range(8)}
    assert counts == {20}
    assert not [labels for _, labels in plant.samples() if "00000000" in str(labels)]


@pytest.fixture(scope="module")
def firing(plant: Plant) -> Iterator[Callable[[], set[str]]]:
    """Prometheus with the repository's rules, of which only times are cut short: the waiting (`for`), and the
    five minutes of standing still."""
    folder = plant.folder / "prometheus"
    folder.mkdir()
    rules = re.sub(r"for: \w+", "for: 1s", RULES.read_text())
    assert "without_progress) > 300" in rules
    (folder / "impatient.yml").write_text(rules.replace("without_progress) > 300", "without_progress) > 3"))
    target = plant.service.url.removeprefix("http://")
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [impatient.yml]\n"
        f"scrape_configs:\n  - job_name: vectordb\n    static_configs: [targets: ['{target}']]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    url = f"http://{address}"

    def answers() -> bool:
        try:
            return httpx2.get(f"{url}/-/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    def alerts() -> set[str]:
        found = httpx2.get(f"{url}/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    server = Server([*command, f"--web.listen-address={address}"], folder / "log", answers)
    server.start()
    try:
        yield alerts
    finally:
        server.kill()


def test_alerts_fire_on_a_queue_and_on_failures(plant: Plant, firing: Callable[[], set[str]]) -> None:
    """A hundred and one tasks that nobody begins; then a worker that finds their table changed."""
    assert firing() & {"VectordbQueueLong", "VectordbChunksFail"} == set()
    tasks = [plant.submit(f"queued-{number}") for number in range(WAITING)]
    until(lambda: {"VectordbQueueLong", "VectordbNoWorkers"} <= firing())
    assert "VectordbChunksFail" not in firing()
    with plant.worker(), plant.embedder_paused():
        until(lambda: plant.sample("vectordb_tasks", state="processing") == WAITING)
        until(lambda: "VectordbQueueLong" not in firing())
        until(lambda: plant.client.get(f"/api/v1/status/{tasks[-1]}").json()["stage"] == "processing")
        (plant.folder / "rows" / TABLE).write_text("id,text\n1,other\n2,rows\n3,now\n")
    with plant.worker():
        until(lambda: "VectordbChunksFail" in firing())
        assert plant.sample("vectordb_tasks", state="pending") == 0


def test_an_alert_fires_on_a_task_that_stands_still(plant: Plant, firing: Callable[[], set[str]]) -> None:
    """Its provider is paused by hand; not while nobody has begun it, and no more when it goes on."""
    with plant.worker():
        until(lambda: plant.sample("vectordb_tasks", state="processing") == 0)
    task_id = plant.submit("still")
    until(lambda: "VectordbNoWorkers" in firing())
    assert "VectordbNoProgress" not in firing()
    with plant.worker():
        with plant.embedder_paused():
            until(lambda: "VectordbNoProgress" in firing())
        until(lambda: "VectordbNoProgress" not in firing())
        with plant.client as client:
            assert follow(client, task_id)[-1] == "end"


def test_an_alert_fires_on_a_slow_status(plant: Plant, firing: Callable[[], set[str]]) -> None:
    """For a while the ledger was far away, as one in another region is."""
    task_id = plant.submit("looked at")
    assert "VectordbStatusSlow" not in firing()
    plant.ledger.seconds = 0.1
    try:
        with plant.client as client:
            for _ in range(SLOW_ANSWERS):
                client.get(f"/api/v1/status/{task_id}").raise_for_status()
    finally:
        plant.ledger.seconds = 0.0
    until(lambda: "VectordbStatusSlow" in firing())


def test_an_alert_fires_on_a_worker_that_holds_much(plant: Plant, firing: Callable[[], set[str]]) -> None:
    """More than 1.5 GB, as the system counts; a usual one beside it does not matter."""
    with plant.worker():
        until(lambda: plant.sample("vectordb_workers", state="alive") == 1)
        assert "VectordbMemoryHigh" not in firing()
    with plant.worker("tests.infrastructure.heavy_worker"):
        until(lambda: "VectordbMemoryHigh" in firing())
    until(lambda: "VectordbMemoryHigh" not in firing())


def test_an_alert_fires_on_a_service_that_does_not_answer(
    plant: Plant, firing: Callable[[], set[str]]
) -> None:
    """Its processes stand still, or its ledger is out of reach; it ends when that does."""
    assert "VectordbDown" not in firing()
    with plant.at_a_standstill():
        until(lambda: "VectordbDown" in firing())
    until(lambda: "VectordbDown" not in firing())
    plant.ledger.cut()
    until(lambda: "VectordbDown" in firing())
    plant.ledger.mend()
    until(lambda: "VectordbDown" not in firing())
