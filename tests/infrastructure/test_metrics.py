"""Prometheus scrapes two processes of the service beside a worker; alerts fire on what is injected."""

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
import pytest
from prometheus_client.parser import text_string_to_metric_families

from standins.process import started
from tests.http_service import KEPT, ROOT, Running, follow, free_port, serve
from tests.servers.process import Server
from tests.servers.redis import RedisServer

KEY = secrets.token_hex(24)
PATIENCE = 60.0
WAITING = 101
TABLE = "table.csv"
RULES = ROOT / "infrastructure/prometheus/alerts.yml"
BOARD = ROOT / "infrastructure/grafana/vectordb.json"
TABLE_OF_DOCS = ROOT / "docs/operations.md"
NAME = re.compile(r"vectordb_[a-z_]+")


@dataclass
class Plant:
    """A service of two processes, whose worker comes and goes."""

    service: Running
    folder: Path
    settings: dict[str, str]
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
    def worker(self) -> Iterator[None]:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= self.settings | {"DATA_DIR": str(self.folder / "data"), "PYTHONPATH": str(ROOT)}
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.workers.embedded"],
                cwd=self.folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    (folder / "rows").mkdir()
    (folder / "rows" / TABLE).write_text("id,text\n1,one\n2,two\n")
    with started("openai") as openai:
        settings = {
            "API_KEYS": KEY,
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
            it = Plant(service, folder, settings)
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
    """Prometheus with the repository's rules, of which only the waiting (`for`) is cut short."""
    folder = plant.folder / "prometheus"
    folder.mkdir()
    (folder / "impatient.yml").write_text(re.sub(r"for: \w+", "for: 1s", RULES.read_text()))
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
    with plant.client as client:
        client.post("/api/v1/providers/embedder/pause", json={"reason": "a test"}).raise_for_status()
    with plant.worker():
        until(lambda: plant.sample("vectordb_tasks", state="processing") == WAITING)
        until(lambda: "VectordbQueueLong" not in firing())
        until(lambda: plant.client.get(f"/api/v1/status/{tasks[-1]}").json()["stage"] == "processing")
        (plant.folder / "rows" / TABLE).write_text("id,text\n1,other\n2,rows\n3,now\n")
        with plant.client as client:
            client.post("/api/v1/providers/embedder/resume").raise_for_status()
        until(lambda: "VectordbChunksFail" in firing())
        assert plant.sample("vectordb_tasks", state="pending") == 0
