"""Whole tasks through a real worker and a server that answers as OpenAI does, on good days and on bad."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from rowvec.embedders.openai import OpenAIEmbedder
from rowvec.estimate import estimate
from rowvec.governor import Governor
from rowvec.intake import TaskRequest
from rowvec.model import Flag, Hold, Task, TaskState
from rowvec.rejected import rejections
from rowvec.rejection import Rejection
from rowvec.search import search
from standins.openai import tokens, vector
from standins.process import Standin
from tests.worker_kit import Workshop

pytestmark = pytest.mark.anyio

SMALL = "text-embedding-3-small"
WISH = TaskRequest("local", "rows.csv", chunk_size=1000, id_column="id", text_columns=["text"])
Make = Callable[..., Awaitable[Workshop]]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Failures that are meant to happen are logged to nobody: rendering their tracebacks takes seconds."""
    with capture_logs():
        yield


@pytest.fixture
async def make(tmp_path: Path, settings: dict[str, str]) -> AsyncIterator[Make]:
    """A workshop whose embedder is OpenAI's, with these settings."""
    async with AsyncExitStack() as stack:

        async def one(lease_seconds: float = 60.0, **more: str) -> Workshop:
            embedder = OpenAIEmbedder.open(settings | more)
            stack.push_async_callback(embedder.close)
            rates = embedder.rates
            governor = Governor(rates.requests_per_second, rates.tokens_per_minute, embedder.tells_rates)
            shop = Workshop(tmp_path, lease_seconds=lease_seconds)
            shop.machine = replace(shop.machine, embedder=embedder, embedder_name="openai", governor=governor)
            return shop

        yield one


def is_paused(task: Task) -> bool:
    return task.hold is Hold.PAUSED


async def carried_on(shop: Workshop, task_id: str) -> Task:
    """The task at its end; a chunk that was refused together with the first may say so after a resume."""
    while True:
        task = await shop.ledger.until(task_id, lambda task: task.state.ended or is_paused(task))
        if task.state.ended:
            return task
        await shop.ledger.flag(task_id, Flag.RESUME)


def numbered(rows: int) -> list[str]:
    return [f"text of row {n}." for n in range(rows)]


async def refused(shop: Workshop, task: Task) -> list[Rejection]:
    return [note async for note in rejections(shop.machine, task.id)]


async def all_right(shop: Workshop, texts: list[str]) -> None:
    """Every text is stored under its id with the very vector that belongs to it, and nothing else is."""
    stored = shop.store._vectors("default")
    assert sorted(stored) == sorted(f"row-{n}" for n in range(len(texts)))
    for n, text in enumerate(texts):
        assert np.array_equal(stored[f"row-{n}"].values, vector(SMALL, 1536, text))


async def test_rows_land_with_their_own_vectors_and_are_paid_once(make: Make, standin: Standin) -> None:
    """What the ledger counts as tokens is what was billed; a search finds the row that was asked for."""
    shop = await make()
    texts = numbered(3_000)
    shop.write(texts)
    ended = await shop.end_of(await shop.submit(chunk_size=1000))
    await all_right(shop, texts)
    counted = standin.counters()
    assert (counted["requests"], counted["texts_billed"], counted["texts_paid_twice"]) == (3, 3_000, 0)
    assert ended.counts.tokens == counted["tokens_billed"] == sum(map(tokens, texts))
    assert (await search(shop.machine, "default", texts[1234], 1))[0].id == "row-1234"


@pytest.mark.parametrize("bad", [(0,), (1023,), (2047,), (777,), (3, 1400), (0, 1, 2046, 2047)])
async def test_refused_rows_are_found_with_few_requests(
    make: Make, standin: Standin, bad: tuple[int, ...]
) -> None:
    """Exactly they are rejected, with the provider's reason; 17 more requests for each at most, wherever."""
    standin.set(marker="POISON")
    shop = await make(OPENAI_REQUESTS_PER_SECOND="10000")
    shop.write([f"POISON {n}" if n in bad else text for n, text in enumerate(numbered(2048))])
    ended = await shop.end_of(await shop.submit(chunk_size=2048))
    notes = await refused(shop, ended)
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 2048 - len(bad))
    assert [note.row for note in notes] == [n + 1 for n in bad]
    assert all(note.code == "refused-by-embedder" and "'$.input' is invalid" in note.reason for note in notes)
    counted = standin.counters()
    assert counted["requests"] <= 1 + 17 * len(bad)
    assert (counted["texts_billed"], counted["texts_paid_twice"]) == (2048 - len(bad), 0)


async def test_a_text_that_never_gets_a_vector_is_rejected_alone(make: Make, standin: Standin) -> None:
    """After a few tries for it and while others get theirs; nothing is asked for again without an end."""
    standin.set(spoilt={"NONE": "nan", "ZERO": "zero", "SHORT": "wrong-dimension"})
    shop = await make(OPENAI_REQUESTS_PER_SECOND="10000")
    bad = {5: "a NONE", 33: "a ZERO", 64: "a SHORT"}
    shop.write([bad.get(n, text) for n, text in enumerate(numbered(80))])
    ended = await shop.end_of(await shop.submit(chunk_size=20))
    notes = await refused(shop, ended)
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 77)
    assert [(note.row, note.code) for note in notes] == [(n + 1, "refused-by-embedder") for n in bad]
    wrong = ["zero or not finite", "zero or not finite", "1535 dimensions"]
    for note, words in zip(notes, wrong, strict=True):
        assert note.reason.startswith("Asked 4 times, no answer") and words in note.reason
    assert max(standin.ask("/_standin/billed", {"texts": list(bad.values())})) <= 12
    assert standin.counters()["requests"] <= 80


async def test_a_model_of_another_dimension_than_was_set_fails_the_task(make: Make, standin: Standin) -> None:
    """No waiting helps, so it says what to set; three requests are all that was spent."""
    standin.set(spoilt={"row": "wrong-dimension", "ping": "wrong-dimension"})
    shop = await make()
    shop.write([f"row {n}" for n in range(80)])
    ended = await shop.end_of(await shop.submit(chunk_size=80))
    assert (ended.state, ended.counts.rejected) == (TaskState.FAILED, 0)
    assert "have 1535 dimensions, not 1536" in (ended.error or "")
    assert "set OPENAI_DIMENSIONS=1535 and submit" in (ended.error or "")
    assert standin.counters()["requests"] == 3


async def test_an_embedder_that_is_ill_rejects_no_text(make: Make, standin: Standin) -> None:
    """As long as no other text gets its vector either, a row waits, however often it was asked for."""
    standin.set(script=["zero"] * 5)
    shop = await make()
    shop.write(numbered(1))
    ended = await shop.end_of(await shop.submit())
    await all_right(shop, numbered(1))
    assert (ended.counts.rejected, standin.counters()["faults"]) == (0, {"zero": 5})


async def test_a_request_that_turns_out_too_large_is_halved(make: Make, standin: Standin) -> None:
    """No row is rejected for it, though the estimate was wrong: English was learned, Japanese came."""
    shop = await make(OPENAI_TOKENS_PER_MINUTE="1e9")
    for _ in range(20):
        await shop.machine.embedder.embed(["plain English words " * 50] * 100)
    texts = [f"{n} " + "日本語のテキスト" * 40 for n in range(1000)]
    shop.write(texts)
    standin.reset()
    ended = await shop.end_of(await shop.submit(chunk_size=1000))
    await all_right(shop, texts)
    assert ended.counts.rejected == 0
    assert standin.counters()["answered"] == {"200": 2, "400": 1}


async def test_a_text_that_turns_out_too_long_is_rejected_alone(make: Make) -> None:
    """Where it was believed to fit."""
    shop = await make(OPENAI_MAX_TOKENS="60000")
    shop.write(["a" * 40_000 if n == 7 else text for n, text in enumerate(numbered(10))])
    ended = await shop.end_of(await shop.submit())
    (note,) = await refused(shop, ended)
    assert (note.row, ended.counts.upserted) == (8, 9)
    assert "maximum context length is 8192 tokens" in note.reason


# Accounts that are refused

MANY_REQUESTS = {"OPENAI_MAX_TOKENS": "100", "OPENAI_REQUEST_TOKENS": "100"}
"""A chunk of 100 rows is some five requests."""


@pytest.mark.parametrize("refusal", [{"billing": "project_spend_limit_exceeded"}, {"key": "sk-other"}])
async def test_a_refused_account_is_asked_once_by_a_worker(
    make: Make, standin: Standin, refusal: dict[str, str]
) -> None:
    """Sixteen chunks of five requests each wait behind the first one, and none of them goes out."""
    standin.set(**refusal)
    shop = await make(**MANY_REQUESTS)
    shop.write(numbered(1600))
    task_id = await shop.submit(chunk_size=100)
    async with shop.worker():
        held = await shop.ledger.until(task_id, is_paused)
    assert held.reason and "resume" in held.reason
    assert standin.counters()["requests"] <= 2
    assert standin.counters()["texts_billed"] == 0


async def test_an_account_that_runs_dry_pays_nothing_twice(make: Make, standin: Standin) -> None:
    """What was sent before is answered and kept; after the resume only the rest is asked for."""
    texts = numbered(1600)
    billed = sum(map(tokens, texts))
    standin.set(credit_tokens=billed // 2, latency={"mean": 0.02, "sigma": 0.8})
    shop = await make(**MANY_REQUESTS, OPENAI_REQUESTS_PER_SECOND="10000")
    shop.write(texts)
    task_id = await shop.submit(chunk_size=100)
    async with shop.worker():
        held = await shop.ledger.until(task_id, is_paused)
        standin.set(credit_tokens=None)
        ended = await carried_on(shop, task_id)
    assert held.reason and "quota" in held.reason
    await all_right(shop, texts)
    counted = standin.counters()
    assert counted["billing_refusals"] >= 1
    assert (counted["texts_billed"], counted["texts_paid_twice"]) == (1600, 0)
    assert ended.counts.tokens == billed


# Weather


async def test_a_storm_loses_and_mixes_up_nothing(make: Make, standin: Standin) -> None:
    """A third of all answers fail in one of nine ways, and every vector is in its place at the end."""
    kinds = ["error-500", "error-503", "vanish", "billed-vanish", "cut"]
    kinds += ["short-count", "wrong-index", "wrong-dimension", "nan"]
    standin.set(faults=dict.fromkeys(kinds, 0.037))
    shop = await make(**MANY_REQUESTS, OPENAI_REQUESTS_PER_SECOND="10000")
    texts = numbered(1_000)
    shop.write(texts)
    ended = await shop.end_of(await shop.submit(chunk_size=100))
    await all_right(shop, texts)
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 1_000)
    assert sum(standin.counters()["faults"].values()) > 5


async def test_an_answer_that_never_comes_is_not_waited_for(make: Make, standin: Standin) -> None:
    """No longer than the lease has left; then the same texts are asked for again."""
    standin.set(script=["hang"])
    shop = await make(lease_seconds=2.0)
    shop.write(numbered(10))
    ended = await shop.end_of(await shop.submit())
    await all_right(shop, numbered(10))
    assert ended.state is TaskState.COMPLETED
    assert standin.counters()["faults"] == {"hang": 1}


async def test_the_budget_of_the_provider_is_kept(make: Make, standin: Standin) -> None:
    """Learned from its answers: hardly a request is refused, though sixteen chunks want to go at once."""
    standin.set(tokens_per_minute=3_000_000, requests_per_second=20, latency={"mean": 0.05, "sigma": 0.3})
    shop = await make()
    texts = [f"row {n} " + "with some more words " * 16 for n in range(4_000)]
    shop.write(texts)
    ended = await shop.end_of(await shop.submit(chunk_size=500))
    counted = standin.counters()
    assert ended.counts.upserted == 4_000
    assert counted["requests"] >= 10
    assert counted["answered_429"] <= counted["requests"] * 0.05


# Estimates


async def test_an_estimate_knows_the_price_and_asks_nobody(make: Make, standin: Standin) -> None:
    """Dollars from the table of prices, seconds from the budget; no request is made."""
    shop = await make(OPENAI_TOKENS_PER_MINUTE="60000", OPENAI_PRICE="")
    shop.write([f"row {n} " + "with some more words " * 16 for n in range(1_000)])
    wish = TaskRequest("local", "rows.csv", chunk_size=100, id_column="id", text_columns=["text"])
    found = await estimate(shop.machine, wish)
    assert (found.model, found.price, found.rows_to_embed) == (SMALL, 0.02, 1_000)
    assert found.dollars_raw == pytest.approx(found.tokens * 0.02 / 1e6)
    assert 80_000 < found.tokens < 180_000
    assert found.seconds == pytest.approx(found.tokens / 1_000)
    assert standin.counters()["requests"] == 0


def many_tongues(rows: int) -> list[str]:
    """Texts of 1 to 60 words in three scripts, every ninth ten times as long: tokens a byte differ by row."""
    words = ("lamp ", "лампа ", "電灯 ")
    return [words[n % 3] * (n * 17 % 60 + 1) * (10 if n % 9 == 4 else 1) + str(n) for n in range(rows)]


async def test_with_the_table_dollars_are_within_3_percent_of_the_bill(
    make: Make, standin: Standin, tiktoken_folder: Path
) -> None:
    """From a sample of a tenth of the rows, or less."""
    shop = await make(TIKTOKEN_CACHE_DIR=str(tiktoken_folder), OPENAI_PRICE="20000")
    shop.write(many_tongues(6_000))
    found = await estimate(shop.machine, WISH)
    await shop.end_of(await shop.submit(chunk_size=1000))
    billed = standin.counters()["tokens_billed"]
    assert found.tokens_counted and found.sampled_rows <= 2_500
    assert found.dollars == pytest.approx(billed * 20_000 / 1e6, rel=0.03)
    assert found.tokens_low <= billed <= found.tokens_high


@pytest.mark.parametrize("text", ["lamp ", "лампа ", "電灯 "])
async def test_without_the_table_the_bill_is_never_above_what_is_told(
    make: Make, standin: Standin, text: str
) -> None:
    """An estimate says that it is one, and is rather too high, whatever was learned from other texts."""
    shop = await make(OPENAI_PRICE="20000")
    shop.write([f"{text * 40}{n}" for n in range(500)])
    await shop.machine.embedder.embed(["plain English words " * 50] * 100)
    standin.reset()
    found = await estimate(shop.machine, WISH)
    await shop.end_of(await shop.submit(chunk_size=1000))
    paid = standin.counters()["tokens_billed"] * 20_000 / 1e6
    assert not found.tokens_counted
    assert paid <= found.dollars <= 2 * paid
    assert found.dollars < found.dollars_high
    assert found.tokens_low <= standin.counters()["tokens_billed"] <= found.tokens_high
