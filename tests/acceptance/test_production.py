"""The production parts together, in real processes: every row of a table arrives, whatever the weather."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from standins.process import Standin, started
from tests.acceptance.goods import TEMPLATE, Goods, make_goods, wrong
from tests.acceptance.production import INDEXES, OPENAI_KEY, PATIENCE, Production, production
from tests.acceptance.storm import Storm
from tests.contracts.ledger_kit import new_table
from tests.servers import postgres, redis, standin
from tests.servers.metabase import Metabase
from tests.servers.moto import Moto
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.standin import StandinServer

ROWS = 6_000
AWAY = ("budget_not_shared", "doorbell_not_working", "housekeeping is put off", "ledger unavailable")
"""What is logged of a part that does not answer."""
READ_AS = {"id_column": "id", "text_template": TEMPLATE}


@pytest.fixture(scope="module")
def openai_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandinServer]:
    with standin.running("openai", tmp_path_factory.mktemp("openai"), key=OPENAI_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def openai(openai_server: StandinServer) -> Standin:
    return openai_server.standin


@pytest.fixture(scope="module")
def pinecone() -> Iterator[Standin]:
    with started("pinecone", indexes=INDEXES, keep_vectors=0) as running:
        yield running


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis.running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory,
    openai: Standin,
    pinecone: Standin,
    moto: Moto,
    metabase_server: Metabase,
    own_redis: RedisServer,
    own_postgres: PostgresServer,
) -> Iterator[Production]:
    """Everything, with PostgreSQL as the ledger."""
    settings = {"BROKER_URL": own_redis.url, "LEDGER_URL": own_postgres.url, **metabase_server.settings}
    folder = tmp_path_factory.mktemp("production")
    with production(folder, openai, pinecone, moto, **settings) as running:
        yield running


def check_end(whole: Production, goods: Goods, status: dict[str, Any]) -> None:
    """The account is that of the table, and Pinecone holds the vector and the fields of each id."""
    account = status["conservation"]
    assert (status["status"], status["error"]) == ("completed", None)
    assert {name: account[name] for name in ("read", "upserted", "duplicate", "rejected")} == {
        "read": goods.rows,
        "upserted": len(goods.winners),
        "duplicate": goods.losers,
        "rejected": len(goods.bad),
    }
    assert (account["unchanged"], account["filtered"], account["unprocessed"]) == (0, 0, 0)
    landed = whole.landed(status["namespace"])
    assert list(wrong(landed, goods.landed(status["task_id"]))) == []


def check_verified(whole: Production, goods: Goods, task_id: str) -> None:
    verified = whole.service.http.post(f"/api/v1/tasks/{task_id}/verify").raise_for_status().json()
    assert verified["ok"]
    assert (verified["expected"], verified["found"]) == (len(goods.winners), len(goods.winners))


def check_paid(whole: Production, goods: Goods, again: Counter[int]) -> None:
    """Each row's text was billed, and at most once more than it was done `again`; nothing else was."""
    times = whole.times_billed(goods)
    assert [id_ for id_, good in goods.winners.items() if not times[good.number]] == []
    assert [number for number, billed in times.items() if billed > 1 + again[number]] == []
    [pings] = whole.openai.ask("/_standin/billed", {"texts": ["ping"]})
    assert whole.openai.counters()["texts_billed"] == sum(times.values()) + pings


def is_our_fault(line: dict[str, Any]) -> bool:
    """In bad weather Celery complains, and what is ours tells of parts that are away, and of nothing else."""
    event, who = line["event"], line.get("logger", "")
    if event == "request":
        return bool(line["status"] != 503)
    if event == "work failed":
        return bool(line["error"] != "Unavailable")
    return who.partition(".")[0] not in ("celery", "kombu", "py") and event not in AWAY


def run(whole: Production, goods: Goods, **wish: Any) -> None:
    """Send it in over HTTP, and look at all that came of it."""
    whole.openai.reset()
    task_id = whole.service.submit(**READ_AS, **wish)
    status = whole.service.end_of(task_id, PATIENCE)
    check_end(whole, goods, status)
    check_verified(whole, goods, task_id)
    rejected = [line["row"] for line in whole.service.left_out(task_id)]
    assert sorted(rejected) == goods.bad
    check_paid(whole, goods, Counter(goods.settled_again))
    assert whole.complaints() == []


def test_every_row_from_s3(whole: Production) -> None:
    goods = make_goods(ROWS, seed=1, doubled=200, bad=20)
    whole.put("goods.csv", goods)
    run(whole, goods, data_source="s3_csv", s3_key="goods.csv", namespace="from-s3")


def test_every_row_from_metabase(whole: Production, metabase: Metabase) -> None:
    goods = make_goods(ROWS, seed=2, doubled=200)
    metabase.ask(42, goods.data)
    run(whole, goods, data_source="metabase", question_id=42, namespace="from-metabase")


def test_every_row_with_the_ledger_in_dynamodb(
    tmp_path: Path, openai: Standin, pinecone: Standin, moto: Moto, own_redis: RedisServer
) -> None:
    goods = make_goods(ROWS, seed=3, doubled=200, bad=20)
    settings = {"BROKER_URL": own_redis.url.replace("/0", "/1"), "LEDGER_URL": new_table()}
    with production(tmp_path, openai, pinecone, moto, **settings) as whole:
        whole.put("goods.csv", goods)
        run(whole, goods, data_source="s3_csv", s3_key="goods.csv", namespace="by-dynamodb", batch_size=300)


def test_a_provider_that_is_away(whole: Production, openai_server: StandinServer) -> None:
    """The status says who is waited for, and the task goes on by itself when it is back."""
    goods = make_goods(3_000, seed=5)
    whole.put("away.csv", goods)
    whole.openai.set(latency={"mean": 0.3})
    wish = {"data_source": "s3_csv", "s3_key": "away.csv", "namespace": "away", "batch_size": 100}
    task_id = whole.service.submit(**READ_AS, **wish)
    whole.service.until(task_id, lambda status: status["progress"]["chunks_completed"] > 1, PATIENCE)
    openai_server.kill()
    midway = whole.service.until(task_id, lambda status: status["waits_for"] is not None, PATIENCE)
    openai_server.start()
    status = whole.service.end_of(task_id, PATIENCE)

    assert (midway["status"], status["waits_for"]) == ("processing", None)
    assert midway["waits_for"].startswith(f"{openai_server.url.removeprefix('http://')} cannot be reached")
    check_end(whole, goods, status)
    check_verified(whole, goods, task_id)


def test_twenty_thousand_rows_through_a_storm(
    whole: Production, own_redis: RedisServer, own_postgres: PostgresServer
) -> None:
    """Eight kills, Redis emptied and lost, PostgreSQL killed: every row is there, and only what was in the
    hands of the killed is paid for again."""
    goods = make_goods(20_000, seed=4, bad=20)
    whole.put("storm.csv", goods)
    whole.openai.reset()
    whole.openai.set(latency={"mean": 0.25, "sigma": 0.4}, tokens_per_minute=600_000)
    wish = {"data_source": "s3_csv", "s3_key": "storm.csv", "namespace": "storm", "batch_size": 250}
    storm = Storm(whole, whole.service.submit(**READ_AS, **wish), own_postgres.url)

    def database_dies() -> None:
        own_postgres.kill()
        assert storm.progress() is None
        own_postgres.start()

    storm.kill_process()
    storm.kill_program()
    storm.blow(own_redis.flush)
    storm.kill_process()
    storm.kill_program()
    storm.blow(own_redis.lose)
    storm.kill_process()
    storm.kill_program()
    storm.blow(database_dies)
    storm.kill_process()
    storm.kill_program()
    status = storm.end()

    check_end(whole, goods, status)
    check_verified(whole, goods, status["task_id"])
    check_paid(whole, goods, storm.in_flight)
    assert [line for line in whole.complaints() if is_our_fault(line)] == []
