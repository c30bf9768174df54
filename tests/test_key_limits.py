"""What a key may use: requests, rows in the queue, tokens a day; and what a task may spend."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.keys import for_tenant
from rowvec import steer
from rowvec.api_key import Grants, Scope
from rowvec.errors import BudgetReached, InputRefused, RateLimited, RowvecError, Unavailable
from rowvec.intake import TaskRequest, submit
from rowvec.ledgers.memory import MemoryLedger
from rowvec.ledgers.register import task_account
from rowvec.model import DAY, Hold
from rowvec.purse import Purse, day_account, most_tokens
from tests.contracts.ledger_kit import Clock, spec
from tests.tenant_kit import TABLE, House, house, send, sent, until
from tests.worker_kit import Workshop

ROWS = 40
LONG = "id,title\n" + "".join(f"r{n},a lamp of the number {n} for a desk\n" for n in range(ROWS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("limits")) as made:
        yield made


def limited(home: House, name: str, **limits: Any) -> str:
    return home.hand_out(name, for_tenant("acme", Grants(Scope.WRITE, **limits)))


def upload(api: httpx2.Client, table: str = LONG) -> str:
    answer = api.post("/api/v1/files", content=table, headers={"Content-Type": "text/csv"})
    return str(answer.raise_for_status().json()["file_id"])


def refused(answer: httpx2.Response, words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "limit-reached"), answer.text
    assert words in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) >= 1


def test_requests_a_second_hold_for_both_processes_together(home: House) -> None:
    """However many ask at once, no second has more answers than the key allows."""
    limited(home, "quick", requests_per_second=3)
    began = time.time()
    with home.api("quick") as first, home.api("quick", home.second) as second:
        asks = [(first, second)[n % 2] for n in range(24)]
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda api: api.get("/api/v1/tasks"), asks))
    seconds = int(time.time()) - int(began) + 1
    served = sum(answer.status_code == 200 for answer in answers)
    assert 1 <= served <= 3 * seconds
    refusals = [answer for answer in answers if answer.status_code != 200]
    assert len(refusals) == 24 - served
    if seconds < 8:
        assert refusals
    for answer in refusals:
        refused(answer, "3 requests a second")


def test_rows_in_the_queue(home: House) -> None:
    """With as many rows to do as it may queue, a key submits no more until some are done."""
    limited(home, "queue", queued_rows=5)
    with home.api("queue") as api, home.api("operator") as operator:
        first = sent(api, file_id=upload(api, TABLE), batch_size=1)
        until(api, first, "completed")
        waiting = sent(api, file_id=upload(api), batch_size=1, max_tokens=1)
        until(api, waiting, "paused")
        refused(send(api, file_id=upload(api, TABLE), namespace="acme.next"), "rows to do; it may queue 5")
        assert send(operator, file_id=upload(operator, TABLE), namespace="free").status_code == 202
        api.post(f"/api/v1/tasks/{waiting}/cancel")
        until(api, waiting, "cancelled")
        assert send(api, file_id=upload(api, TABLE), namespace="acme.next").status_code == 202


def test_a_task_pauses_before_its_budget_is_exceeded(home: House) -> None:
    """In words; what was spent stays below it, and more tokens let the task go on to its end."""
    with home.api("acme-write") as api:
        task = sent(api, file_id=upload(api), batch_size=2, max_tokens=150, namespace="acme.budget")
        status = until(api, task, "paused", "completed")
        assert status["status"] == "paused"
        assert "This task may spend 150 tokens (max_tokens or max_dollars)" in status["hold_reason"]
        assert 0 < status["conservation"]["tokens"] <= 150
        more = api.post(f"/api/v1/tasks/{task}/resume", json={"more_tokens": 100_000})
        assert more.status_code == 200, more.text
        ended = until(api, task, "completed", "paused")
        assert ended["conservation"]["upserted"] == ROWS
        assert api.post(f"/api/v1/tasks/{task}/resume", json={"more_tokens": 1}).status_code == 409


def test_tokens_a_day(home: House) -> None:
    """Tasks of the key pause, and neither a task nor a search begins that day; other keys are not touched."""
    key_id = limited(home, "day", tokens_per_day=150)
    with home.api("day") as api:
        task = sent(api, file_id=upload(api), batch_size=2, namespace="acme.day")
        status = until(api, task, "paused", "completed")
        assert "may use 150 tokens a day" in status["hold_reason"]
        assert status["conservation"]["tokens"] <= 150
        used = home.ask(lambda ledger: ledger.drawn(day_account(key_id), DAY))
        assert status["conservation"]["tokens"] <= used <= 150
        home.ask(lambda ledger: ledger.draw(day_account(key_id), 150 - used, 150, DAY))
        refused(send(api, file_id=upload(api, TABLE), namespace="acme.late"), "150 tokens a day")
        refused(api.post("/api/v1/search", json={"query": "lamp", "namespace": "acme"}), "150 tokens a day")
    with home.api("acme-read") as api:
        assert api.post("/api/v1/search", json={"query": "l", "namespace": "acme"}).status_code == 200


def test_dollars_are_tokens_at_the_embedders_price() -> None:
    """The narrower of both budgets counts; what costs nothing is limited by tokens only."""
    assert most_tokens(None, 1.0, 0.02) == 50_000_000
    assert most_tokens(1_000, 1.0, 0.02) == 1_000
    assert most_tokens(10**9, 0.000001, 0.13) == 7
    assert most_tokens(None, 1.0, 0.0) is None
    assert most_tokens(None, None, 0.02) is None


async def a_purse() -> tuple[MemoryLedger, Purse, str]:
    """Of a task that may spend 100 tokens, its ledger, and the account it is counted on."""
    ledger = MemoryLedger(Clock())
    task = (await ledger.submit(replace(spec(), max_tokens=100))).task
    return ledger, await Purse.of(ledger, task), task_account(task.id)


@pytest.mark.anyio
async def test_what_was_not_used_comes_back() -> None:
    """The most is taken before the request, and the difference given back after."""
    ledger, purse, account = await a_purse()
    async with purse.taken(80) as taken:
        assert await ledger.drawn(account) == 80
        taken.spent = 30
    assert await ledger.drawn(account) == 30


@pytest.mark.anyio
async def test_requests_side_by_side_never_exceed_a_budget() -> None:
    """What is on its way counts as spent."""
    ledger, purse, account = await a_purse()
    async with purse.taken(60):
        with pytest.raises(BudgetReached, match="60 are spent or on their way"):
            async with purse.taken(60):
                pass
    assert await ledger.drawn(account) == 60


@pytest.mark.anyio
@pytest.mark.parametrize(("error", "left"), [(InputRefused, 0), (RateLimited, 0), (Unavailable, 60)])
async def test_what_a_failed_request_costs(error: type[RowvecError], left: int) -> None:
    """A refusal costs nothing; where no answer came, it may have been paid."""
    ledger, purse, account = await a_purse()
    with pytest.raises(error):
        async with purse.taken(60):
            raise error("no")
    assert await ledger.drawn(account) == left


@pytest.mark.anyio
async def test_chunks_side_by_side_stay_below_the_budget_of_their_task(tmp_path: Path) -> None:
    """Whatever is at work at once, the bill stays below it; more tokens bring the task to its end."""
    shop = Workshop(tmp_path)
    shop.write(f"the text of row {n}" for n in range(60))
    await shop.ledger.ready()
    wish = TaskRequest(
        "local", "rows.csv", "default", 5, id_column="id", text_columns=["text"], max_tokens=200
    )
    task_id = (await submit(shop.machine, wish)).task.id
    async with shop.worker():
        paused = await shop.ledger.until(task_id, lambda task: task.hold is Hold.PAUSED)
        assert "This task may spend 200 tokens" in (paused.reason or "")
    billed = sum(shop.embedder.count_tokens(shop.embedder.given))
    assert 0 < billed <= 200
    assert await shop.ledger.drawn(task_account(task_id)) == billed
    await steer.resume(shop.machine, task_id, more_tokens=10_000)
    ended = await shop.end_of(task_id)
    assert ended.counts.upserted == 60
    assert len(shop.embedder.given) == 60


@pytest.mark.anyio
async def test_a_task_without_limits_counts_nothing() -> None:
    """It pays for no write to the ledger."""
    ledger = MemoryLedger(Clock())
    task = (await ledger.submit(spec())).task
    purse = await Purse.of(ledger, task)
    assert purse.is_open
    async with purse.taken(5):
        pass
    assert await ledger.drawn(task_account(task.id)) == 0
