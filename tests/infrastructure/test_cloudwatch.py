"""What processes tell CloudWatch adds up to what the ledger says, and holds no row's text and no key."""

from __future__ import annotations

import json
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rowvec.ledgers.base import Overview
from rowvec.ledgers.sql import SqlLedger
from standins.process import Standin, started
from tests.acceptance.production import CeleryWorker
from tests.acceptance.service import Service
from tests.http_service import ROOT, Running, follow, serve, uvicorn
from tests.infrastructure.emf import Told, told
from tests.infrastructure.test_metrics import TABLE_OF_DOCS
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.anyio

KEY = secrets.token_hex(24)
CANARY = "canary-of-a-row-5d1c9e"
ROWS, LEFT_OUT, CHUNK = 240, 12, 20
WISH = {"data_source": "s3_csv", "s3_key": "table.csv", "id_column": "id", "batch_size": CHUNK}


def settings(folder: Path, openai: Standin, **more: str) -> dict[str, str]:
    rows = folder / "rows"
    rows.mkdir()
    whole = "".join(f"{n},{CANARY} number {n}\n" for n in range(ROWS - LEFT_OUT))
    cut = "".join(f"{n}\n" for n in range(ROWS - LEFT_OUT, ROWS))
    (rows / "table.csv").write_text("id,text\n" + whole + cut)
    return {
        "API_KEYS": KEY,
        "EMBEDDER": "openai",
        "OPENAI_API_KEY": "sk-standin-canary-7e2b",
        "OPENAI_BASE_URL": f"{openai.url}/v1",
        "OPENAI_DIMENSIONS": "64",
        "OPENAI_PRICE": "1000",
        "LOCAL_FILES_DIR": str(rows),
        "MIN_FREE_BYTES": "0",
        "LEASE_SECONDS": "6",
    } | more


@dataclass(frozen=True)
class Day:
    """A task that was done while CloudWatch listened, and what the ledger and the stand-in say of it."""

    lines: list[str]
    told: Told
    rows: dict[str, Any]
    overview: Overview
    billed: dict[str, int]
    asked: dict[str, int]


@pytest.fixture(scope="module")
def openai() -> Iterator[Standin]:
    with started("openai") as running:
        yield running


def asked(client: httpx2.Client) -> dict[str, int]:
    """Counts what is asked from now on, by class of status."""
    counts: dict[str, int] = {}

    def count(answer: httpx2.Response) -> None:
        name = f"{answer.status_code // 100}xx"
        counts[name] = counts.get(name, 0) + 1

    client.event_hooks["response"].append(count)
    return counts


def done(client: httpx2.Client) -> dict[str, Any]:
    """The account of a task over the whole table, at its end, and its id."""
    task_id = client.post("/api/v1/process", json=WISH).raise_for_status().json()["task_id"]
    assert follow(client, task_id)[-1] == "end"
    rows: dict[str, Any] = client.get(f"/api/v1/status/{task_id}").raise_for_status().json()["conservation"]
    return rows | {"task_id": task_id}


@pytest.fixture(scope="module")
async def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A service and the worker beside it, two processes that write to one file. The embedder takes fewer
    requests a second than they mean to send: some are put off."""
    folder = tmp_path_factory.mktemp("day")
    metrics = folder / "logs" / "metrics.json"
    metrics.parent.mkdir()
    with started("openai", requests_per_second=4, shows_limits=False) as slow:
        given = settings(folder, slow, CLOUDWATCH_METRICS=str(metrics), ENVIRONMENT="Production")
        with serve(uvicorn(), folder, **given) as service, service.client(KEY) as client:
            counts = asked(client)
            rows = done(client)
            assert client.get(f"/api/v1/status/{CANARY}").status_code >= 400
            assert client.get(f"/{CANARY}").status_code == 404
        billed = slow.counters()
    lines = metrics.read_text().splitlines()
    ledger = SqlLedger(f"sqlite:///{folder}/data/ledger.db")
    overview = await ledger.overview()
    await ledger.close()
    return Day(lines, told(lines), rows, overview, billed, counts)


async def test_rows_and_chunks_are_those_of_the_task(day: Day) -> None:
    assert day.rows["upserted"] == ROWS - LEFT_OUT
    for outcome in ("upserted", "rejected"):
        assert day.told.sum("Rows", outcome=outcome) == day.rows[outcome] > 0
    assert day.told.sum("Chunks", outcome="done") == ROWS / CHUNK
    for outcome, count in day.overview.tally.chunks.items():
        assert day.told.sum("Chunks", outcome=outcome) == count


async def test_what_the_embedder_was_asked_is_what_it_says(day: Day) -> None:
    assert day.told.sum("Tokens") == day.billed["tokens_billed"] > 0
    assert day.told.sum("EmbedRequests") == day.billed["requests_billed"] > 0
    assert day.told.sum("EmbedRateLimited") == day.billed["answered_429"] > 0
    assert day.told.sum("Dollars") == pytest.approx(day.billed["tokens_billed"] / 1000)


async def test_the_ledger_says_the_same(day: Day) -> None:
    """Prometheus has its numbers from there."""
    tally = day.overview.tally
    assert day.told.sum("ChunkSeconds") == pytest.approx(tally.seconds)
    assert day.told.sum("EmbedRateLimited") == tally.rate_limited
    assert day.told.sum("Tokens") == tally.tokens


async def test_answers_are_all_there(day: Day) -> None:
    """Each is counted once, with its time, under the template of its route."""
    classes = {dict(of)["status"] for name, of in day.told.values if name == "HttpRequests"}
    assert {of: day.told.sum("HttpRequests", status=of) for of in classes} == day.asked
    assert {"2xx", "4xx"} <= classes
    assert day.told.samples("HttpRequestDurationSeconds") == sum(day.asked.values())
    routes = {dict(of)["route"] for name, of in day.told.values if name == "HttpRequestDurationSeconds"}
    assert {"/api/v1/status/{task_id}", "/api/v1/process", "unmatched"} <= routes


async def test_no_text_no_key_and_no_id_is_told(day: Day) -> None:
    assert day.lines
    for line in day.lines:
        for secret in (CANARY, day.rows["task_id"], KEY, "sk-standin", "127.0.0.1"):
            assert secret not in line


async def test_each_line_is_small_enough_for_a_pipe(day: Day) -> None:
    assert max(len(line.encode()) for line in day.lines) < 4096
    assert {json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in day.lines} == {
        "vectordb/production"
    }


async def test_the_table_of_the_documentation_is_what_is_there(day: Day) -> None:
    """Every metric has its name, unit and dimensions in docs/operations.md."""
    text = TABLE_OF_DOCS.read_text()
    section = text.partition("\n### CloudWatch\n")[2].partition("\n## ")[0]
    rows = section.splitlines()
    cells = [
        [cell.strip().replace("`", "") for cell in row.split("|")[1:]] for row in rows if row[:3] == "| `"
    ]
    documented = {name: (row[1], row[2]) for row in cells for name in row[0].split(", ")}
    seen = {
        name: (day.told.units[name], ", ".join(sorted(key for key, _ in dimensions)))
        for name, dimensions in day.told.values
    }
    rare = {"PiecesTakenBack", "BudgetUsedRatio"}
    assert {name: documented.get(name) for name in seen} == seen
    assert documented.keys() - seen.keys() <= rare


@contextmanager
def of_many_processes(folder: Path, broker: RedisServer, openai: Standin) -> Iterator[tuple[Running, Path]]:
    """Two processes of the API and Celery, which write records where their logs go."""
    given = settings(folder, openai, CLOUDWATCH_METRICS="stdout", BROKER_URL=broker.url, MAX_WORKERS="2")
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), "app.main:app"]
    command = [*gunicorn, "-w", "2", "-k", "uvicorn_worker.UvicornWorker", "--bind", "fd://{fd}"]
    with serve(command, folder, **given) as service, Service(folder, **given) as beside:
        worker = CeleryWorker(beside, "worker")
        worker.start()
        try:
            yield service, worker.log
            program = worker.program
            program.send_signal(signal.SIGTERM)
            program.wait(60)
        finally:
            worker.kill()


async def test_many_processes_tell_it_once(
    tmp_path: Path, redis_server: RedisServer, openai: Standin
) -> None:
    """Through standard output, where logs are, too. What the ledger says of all is told by one of the two."""
    with of_many_processes(tmp_path, redis_server, openai) as (service, log), service.client(KEY) as client:
        counts = asked(client)
        done(client)
        holders = [line for line in service.stderr.splitlines() if '"Leases"' in line]
    written = [line for line in service.stderr.splitlines() if line.startswith('{"_aws"')]
    whole = told([*written, *(line for line in log.read_text().splitlines() if line.startswith('{"_aws"'))])
    assert len(holders) == 1
    assert whole.sum("Rows", outcome="upserted") == ROWS - LEFT_OUT
    assert whole.sum("HttpRequests", status="2xx") == counts["2xx"]
    assert whole.samples("WorkerMemoryBytes") >= 4


async def test_nothing_is_told_unless_it_is_wished(tmp_path: Path, openai: Standin) -> None:
    given = settings(tmp_path, openai)
    with serve(uvicorn(), tmp_path, **given) as service, service.client(KEY) as client:
        done(client)
    assert "_aws" not in service.stderr and "CloudWatchMetrics" not in service.stderr
    assert not (tmp_path / "data/cloudwatch.lock").exists()


async def test_work_goes_on_where_nothing_can_be_written(tmp_path: Path, openai: Standin) -> None:
    """There is no such folder: each process says so, once, and the task is done."""
    given = settings(tmp_path, openai, CLOUDWATCH_METRICS=str(tmp_path / "nowhere/metrics.json"))
    with serve(uvicorn(), tmp_path, **given) as service, service.client(KEY) as client:
        rows = done(client)
    assert rows["upserted"] == ROWS - LEFT_OUT
    said = [json.loads(line) for line in service.stderr.splitlines() if "cloudwatch_not_told" in line]
    assert sorted(line["of"] for line in said) == ["OfAnswers", "OfEverybody", "OfWorker"]
    assert all("nowhere" in line["exception"] for line in said)
