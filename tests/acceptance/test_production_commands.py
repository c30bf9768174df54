"""The production commands of the original guide and of docs/deployment.md, on the settings of that page."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from standins.process import Standin, started
from tests.acceptance.service import PASSED_ON, ROOT
from tests.http_service import free_port
from tests.servers.between import Between, between
from tests.servers.metabase import API_KEY
from tests.servers.metabase import running as metabase_running
from tests.servers.moto import Moto
from tests.servers.redis import RedisServer
from tests.servers.redis import running as redis_running
from tests.test_deployment import block

PATIENCE = 120.0
SERVICE = "gunicorn app.main:app -w 4 -k uvicorn.workers.UvicornWorker"
WORKER = "celery -A app.workers.celery_app worker"
INSPECT = "celery -A app.workers.celery_app inspect active"
ROWS = 1_200


@dataclass(frozen=True)
class Stack:
    """Everything that docs/deployment.md calls many servers, on this one; `.env` is in `folder`."""

    folder: Path
    port: int
    gunicorn: psutil.Process
    openai: Standin
    pinecone: Standin
    redis: RedisServer
    dynamodb: ExitStack

    @property
    def key(self) -> str:
        """The API key, which the first of the four processes showed, once."""
        (key,) = re.findall(r"vdb_live_\w+", (self.folder / "gunicorn.log").read_text())
        return str(key)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command of the guide, where its reader types it: beside `.env`, in the virtual environment."""
        return subprocess.run(
            command.replace("localhost:8000", f"localhost:{self.port}"),
            shell=True, cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip

    def curl(self, command: str) -> Any:
        """What a curl of the guide is answered with."""
        done = self.run(command.replace("your-api-key", self.key) + " -sS --fail-with-body")
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = httpx2.get(f"http://localhost:{self.port}/api/v1/health", timeout=30).json()
        return answer

    def submit(self, wish: Mapping[str, object]) -> str:
        accepted = self.curl(
            "curl -X POST http://localhost:8000/api/v1/process -H 'X-API-Key: your-api-key' "
            f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(wish))}"
        )
        assert (accepted["status"], accepted["message"]) == ("pending", "Task queued for processing")
        return str(accepted["task_id"])

    def status(self, task_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.curl(
            f"curl http://localhost:8000/api/v1/status/{task_id} -H 'X-API-Key: your-api-key'"
        )
        return answer

    def end_of(self, task_id: str) -> dict[str, Any]:
        until(lambda: self.status(task_id)["status"] in ("completed", "failed"), f"task {task_id} ends")
        return self.status(task_id)


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def environment() -> dict[str, str]:
    """Nothing but the virtual environment: all settings are in `.env`."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, moto: Moto) -> Iterator[Stack]:
    """The page's settings for many servers, with the addresses of this machine; then its two commands."""
    folder = tmp_path_factory.mktemp("production")
    with ExitStack() as servers:
        openai = servers.enter_context(started("openai", key="sk-the-accounts-own-key"))
        pinecone = servers.enter_context(
            started("pinecone", indexes=[{"name": "products", "dimension": 1536}])
        )
        metabase = servers.enter_context(metabase_running(folder))
        metabase.reset()
        metabase.ask(123, (ROOT / "test_data/csv_files/sample.csv").read_text())
        redis = servers.enter_context(redis_running(folder))
        dynamodb = servers.enter_context(ExitStack())
        there = dynamodb.enter_context(between(moto.url))
        port = free_port()  # after all that take whichever port is free
        (folder / ".env").write_text(
            settings(openai, pinecone, metabase.url, redis, moto, there, port, folder)
        )
        gunicorn = start(servers, folder, f"{SERVICE} --bind 127.0.0.1:{port}", "gunicorn.log")
        start(servers, folder, WORKER, "celery.log")
        running = Stack(folder, port, gunicorn, openai, pinecone, redis, dynamodb)
        try:
            until(lambda: answers(port) and running.health()["workers"]["active"] == 2, "no stack")
        except TimeoutError as error:
            said = (folder / "gunicorn.log").read_text() + (folder / "celery.log").read_text()
            raise RuntimeError(f"no stack: {said[-4000:]}") from error
        yield running


def settings(
    openai: Standin, pinecone: Standin, metabase: str, redis: RedisServer, moto: Moto, dynamodb: Between,
    port: int, folder: Path,
) -> str:  # fmt: skip
    """The block of the page, and what this machine adds to it; the last line with a name holds."""
    tables, files = moto.new_bucket(), moto.new_bucket()
    for name in ("sample.csv", "rows.csv"):
        moto.client("s3").put_object(Bucket=tables, Key=name, Body=table(name))
    here = moto.settings | {
        "DATA_DIR": str(folder / "data"),
        "BROKER_URL": redis.url,
        "LEDGER_URL": f"dynamodb://{files}",
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.url,
        "FILE_STORE_URL": f"s3://{files}/vectordb",
        "S3_BUCKET": tables,
        "OPENAI_API_KEY": "sk-the-accounts-own-key",
        "OPENAI_BASE_URL": f"{openai.url}/v1",
        "PINECONE_API_KEY": "pcsk_standin",
        "PINECONE_CONTROLLER_HOST": pinecone.url,
        "METABASE_URL": metabase,
        "METABASE_API_KEY": API_KEY,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MAX_WORKERS": "2",
        "MIN_FREE_BYTES": "0",
    }
    return block("env: many") + "".join(f"{name}={value}\n" for name, value in here.items())


def table(name: str) -> bytes:
    if name == "sample.csv":
        return (ROOT / "test_data/csv_files/sample.csv").read_bytes()
    rows = "".join(f"{n},a row with the number {n} and a few words more\n" for n in range(ROWS))
    return f"id,text\n{rows}".encode()


def start(servers: ExitStack, folder: Path, command: str, log: str) -> psutil.Process:
    """A program that ends, with all that it started, when the stack does."""
    with (folder / log).open("wb") as said:
        process = subprocess.Popen(
            shlex.split(command), cwd=folder, env=environment(), stdin=subprocess.DEVNULL,
            stdout=said, stderr=said,
        )  # fmt: skip
    servers.callback(end, process)
    return psutil.Process(process.pid)


def end(process: subprocess.Popen[bytes]) -> None:
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for member in family:
        if member.is_running():
            member.kill()


def answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://localhost:{port}/livez", timeout=5).is_success
    except httpx2.TransportError:
        return False


def landed(stack: Stack, namespace: str) -> int:
    document = {"index": "products", "namespace": namespace}
    return len(stack.pinecone.ask("/_standin/landed", document))


def test_the_page_has_the_guides_commands() -> None:
    """Word for word, so that what is run here is what is read there."""
    assert block("run: service").startswith(SERVICE)
    assert block("run: worker") == f"{WORKER}\n"
    assert INSPECT in block("run: looks").splitlines()


def test_four_processes_serve_and_every_part_is_connected(stack: Stack) -> None:
    """The guide's health, with Redis and DynamoDB; of four processes that started at once one made a key."""
    assert len(stack.gunicorn.children()) == 4
    found = stack.curl("curl http://localhost:8000/api/v1/health")
    assert found == stack.curl("curl http://localhost:8000/health")
    assert (found["status"], found["version"], found["message"]) == (
        "healthy", "1.0.0", "Every part answers.",
    )  # fmt: skip
    assert found["workers"] == {"active": 2, "available": 2}
    assert (found["redis"], found["dynamodb"]) == ("connected", "connected")
    assert stack.key


def test_doctor_finds_nothing_wrong(stack: Stack) -> None:
    """With the same settings, beside the running service."""
    done = stack.run(f"{sys.executable} -m app doctor")
    assert done.returncode == 0, done.stdout
    assert "the service answers on port" in done.stdout and "2 alive" in done.stdout


def test_the_guides_requests(stack: Stack) -> None:
    """Process, status and tasks: a file of S3 with a date, and a question of Metabase."""
    given = {"data_source": "s3_csv", "s3_key": "sample.csv", "batch_size": 1000}
    dated = given | {"start_date": "2025-01-01", "date_column": "created_at", "namespace": "v2"}
    asked = {"data_source": "metabase", "question_id": 123, "namespace": "question"}
    ids = [stack.submit(wish) for wish in (given, dated, asked)]
    for task_id in ids:
        status = stack.end_of(task_id)
        assert (status["status"], status["error"]) == ("completed", None)
        progress = status["progress"]
        assert (progress["total_records"], progress["failed_records"]) == (10, 0)
        assert (progress["chunks_completed"], progress["chunks_total"]) == (1, 1)
        assert status["started_at"] <= status["completed_at"]
    listed = stack.curl("curl http://localhost:8000/api/v1/tasks -H 'X-API-Key: your-api-key'")
    assert {task["task_id"] for task in listed["tasks"]} >= set(ids)
    assert [landed(stack, namespace) for namespace in ("default", "v2", "question")] == [10, 10, 10]


def test_an_estimate_is_never_below_the_bill(stack: Stack) -> None:
    """Without the tokenizer's table it says so, for a file and for a question."""
    stack.openai.reset()
    wish = {"data_source": "metabase", "question_id": 123, "namespace": "estimated"}
    asked = (
        "curl -X POST http://localhost:8000/api/v1/estimate -H 'X-API-Key: your-api-key' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(wish)}'"
    )
    found = stack.curl(asked)
    assert stack.openai.counters()["tokens_billed"] == 0
    stack.end_of(stack.submit(wish))
    billed = stack.openai.counters()["tokens_billed"]
    assert (found["rows"], found["tokens_counted"]) == (10, False)
    assert billed <= found["tokens"] <= found["tokens_high"]


def test_inspect_active_answers_while_it_works(stack: Stack) -> None:
    """Both processes are busy with the one Celery task that there is; then all has landed."""
    stack.openai.set(latency={"mean": 1.0, "sigma": 0.0})
    try:
        task_id = stack.submit(
            {
                "data_source": "s3_csv",
                "s3_key": "rows.csv",
                "id_column": "id",
                "batch_size": 20,
                "namespace": "busy",
            }
        )
        until(lambda: stack.status(task_id)["progress"]["chunks_completed"] > 0, "no chunk is done")
        told = stack.run(INSPECT)
        busy = stack.status(task_id)["status"]
    finally:
        stack.openai.set(latency={})
    assert "1 node online" in told.stdout and "vectordb.work" in told.stdout, told.stdout + told.stderr
    assert busy == "processing"
    assert stack.end_of(task_id)["progress"]["processed_records"] == ROWS
    assert landed(stack, "busy") == ROWS


def test_health_tells_in_words_who_is_away(stack: Stack) -> None:
    """Redis, which comes back, and then DynamoDB, with which this stack ends."""
    stack.redis.stop()
    without_redis = stack.health()
    stack.redis.start()
    until(lambda: stack.health()["redis"] == "connected", "Redis is not found again")
    again = stack.health()
    stack.dynamodb.close()
    without_dynamodb = stack.health()

    assert (without_redis["status"], without_redis["redis"]) == ("degraded", "not answering")
    assert without_redis["message"].startswith("Redis is not answering: workers hear of new work")
    assert (without_redis["dynamodb"], without_redis["workers"]["active"]) == ("connected", 2)
    assert (again["status"], again["message"]) == ("healthy", "Every part answers.")
    assert (without_dynamodb["status"], without_dynamodb["dynamodb"]) == ("degraded", "not answering")
    assert without_dynamodb["message"].startswith("The ledger is not answering: nothing can be submitted")
    assert without_dynamodb["redis"] == "connected"
