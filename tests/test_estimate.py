"""An estimate says beforehand what a run will count, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect

from app.api.presence import while_connected
from rowvec import planner, survey
from rowvec.errors import InvalidRequest, SourceNotFound
from rowvec.estimate import Estimate, estimate
from rowvec.governor import Governor
from rowvec.intake import TaskRequest, submit
from rowvec.machine import Machine
from rowvec.sources.local import LocalSource
from rowvec.spec import SourcePin
from tests.worker_kit import PATIENCE, Workshop

pytestmark = pytest.mark.anyio


@pytest.fixture
async def workshop(tmp_path: Path) -> Workshop:
    shop = Workshop(tmp_path)
    await shop.ledger.ready()
    return shop


async def of_rows(
    shop: Workshop, chunk_size: int = 10, machine: Machine | None = None, **wish: Any
) -> Estimate:
    """The estimate of the workshop's file, as Workshop.submit would submit it."""
    options = {"id_column": "id", "text_columns": ["text"]} | wish
    return await estimate(
        machine or shop.machine, TaskRequest("local", "rows.csv", chunk_size=chunk_size, **options)
    )


def mixed(rows: int) -> list[str]:
    """Texts of 1 to 97 words, and every tenth of them ten times as long."""
    return ["word " * (n * 31 % 97 + 1) * (10 if n % 10 == 3 else 1) for n in range(rows)]


def sorted_by_length(rows: int) -> list[str]:
    """The short ones first: 50 to 1,250 characters."""
    return ["word " * (10 + 240 * n // rows) for n in range(rows)]


async def test_rows_chunks_and_blank_lines_are_those_of_the_plan(workshop: Workshop, tmp_path: Path) -> None:
    """What is counted is exact, and is what the task's own plan then finds."""
    (tmp_path / "rows.csv").write_text("id,text\n" + "".join(f'{n},"a\nb"\n\n' for n in range(35)))
    found = await of_rows(workshop)
    assert (found.rows, found.blank_lines, found.chunks, found.exact) == (35, 35, 4, True)
    task = await workshop.end_of(await workshop.submit())
    assert (task.rows_planned, task.blank_lines, task.chunks_total) == (35, 35, 4)
    assert found.bytes == task.spec.source.size and found.chunk_size == 10


@pytest.mark.parametrize("texts", [mixed(12_000), sorted_by_length(12_000)], ids=["mixed", "sorted"])
async def test_tokens_are_within_3_percent_of_the_run(workshop: Workshop, texts: list[str]) -> None:
    """From a sample of a table with rows of very different lengths, and within the spread that is told."""
    workshop.write(texts)
    found = await of_rows(workshop, chunk_size=1000)
    counts = (await workshop.end_of(await workshop.submit(chunk_size=1000))).counts
    assert found.sampled_rows <= 2500
    assert found.tokens == pytest.approx(counts.tokens, rel=0.03)
    assert found.tokens_low <= counts.tokens <= found.tokens_high
    assert found.tokens_low < found.tokens < found.tokens_high
    assert found.rows_to_embed == found.passages == counts.upserted


async def test_a_small_table_is_looked_at_whole(workshop: Workshop) -> None:
    """Then every number is exact and there is no spread."""
    workshop.write(mixed(1_000))
    found = await of_rows(workshop, chunk_size=100)
    counts = (await workshop.end_of(await workshop.submit(chunk_size=100))).counts
    assert found.sampled_rows == 1_000
    assert found.tokens_low == found.tokens == found.tokens_high == counts.tokens


async def test_chunks_of_long_rows_weigh_by_their_rows(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long rows fill many more chunks; that makes them no more frequent in the sums."""
    for module in (planner, survey):
        monkeypatch.setattr(module, "MAX_CHUNK_BYTES", 32 << 10)
    short = [f"{n},{'s' * 40},-\n" for n in range(4_500)]
    long = [f"{n},{'l' * 400},{'-' * 2000}\n" for n in range(4_500, 6_000)]
    (tmp_path / "rows.csv").write_text("id,text,more\n" + "".join(short + long))
    found = await of_rows(workshop, chunk_size=1000)
    tokens = 4_500 * 10 + 1_500 * 100
    assert found.tokens == pytest.approx(tokens, rel=0.1)
    assert found.tokens_low <= tokens <= found.tokens_high


async def test_filters_and_rejections_are_what_they_will_be(workshop: Workshop, tmp_path: Path) -> None:
    """Rows outside the dates, of unreadable dates, ragged, without a text or doubled are not embedded."""
    rows = ["a,x,2025-01-01", "b,y,2024-01-01", "c,z,never", "d,too,many,cells", "e,,2025-01-01"]
    rows += ["f,one,2025-01-02", "f,two,2025-01-02", "g,y,2024-01-01"]
    (tmp_path / "rows.csv").write_text("id,text,day\n" + "\n".join(rows))
    found = await of_rows(workshop, date_column="day", start_date="2025-01-01")
    assert (found.rows, found.rows_to_embed, found.passages, found.tokens) == (8, 2, 2, 2)
    assert (found.rejected_share, found.filtered_share) == (3 / 8, 2 / 8)


async def test_long_texts_count_as_their_passages(tmp_path: Path) -> None:
    """A text beyond the model's limit is as many vectors and tokens as the run makes of it."""
    shop = Workshop(tmp_path, max_tokens=20)
    shop.write(["short"] * 5 + ["long words " * 50] * 5)
    await shop.ledger.ready()
    found = await of_rows(shop)
    counts = (await shop.end_of(await shop.submit())).counts
    assert found.rows_to_embed == 10 < found.passages == counts.passages
    assert found.tokens == counts.tokens


async def test_nothing_is_left_behind(workshop: Workshop, tmp_path: Path) -> None:
    """No task, no bound namespace, no file, no vector."""
    workshop.write(["a text"] * 30)
    await of_rows(workshop)
    assert (await workshop.ledger.tasks()).tasks == []
    await workshop.ledger.bind_namespace("default", "another-model", 3)
    assert workshop.store.written == [] and await workshop.store.count("default") == 0
    assert await workshop.machine.files.names("") == []


def priced(shop: Workshop, price: float, governor: Governor | None = None) -> Machine:
    shop.embedder.price = price
    return replace(shop.machine, governor=governor or Governor())


async def test_an_embedder_with_a_price_is_never_called(workshop: Workshop) -> None:
    """Dollars follow from the tokens, rounded up to cents; without a budget the time is not known."""
    workshop.write(["a text of 24 characters."] * 100)
    found = await of_rows(workshop, machine=priced(workshop, 0.02))
    assert workshop.embedder.calls == 0 and found.tokens == 600
    assert (found.price, found.dollars, found.seconds) == (0.02, 0.01, None)
    assert found.dollars_raw == pytest.approx(600 * 0.02 / 1e6)
    exact = await of_rows(workshop, machine=priced(workshop, 7e4 / 600))
    assert exact.dollars == 0.07


@pytest.mark.parametrize(("governor", "seconds"), [(Governor(5.0), 2.0), (Governor(5.0, 600.0), 60.0)])
async def test_time_follows_from_the_budget(workshop: Workshop, governor: Governor, seconds: float) -> None:
    """Requests a second or tokens a minute, whichever takes longer; a free embedder is not called then."""
    workshop.write(["a text of 24 characters."] * 100)
    for price in (0.02, 0.0):
        found = await of_rows(workshop, machine=priced(workshop, price, governor))
        assert found.seconds == pytest.approx(seconds)
    assert workshop.embedder.calls == 0


async def test_a_free_embedder_is_timed_on_the_sample(workshop: Workshop) -> None:
    """One request of what has been looked at; where it is refused, the time is not known."""
    workshop.write(["a text"] * 3_000)
    found = await of_rows(workshop)
    assert found.seconds is not None and found.seconds > 0 and found.dollars == 0.0
    assert workshop.embedder.calls == 1 and set(workshop.embedder.given) == {"a text"}
    workshop.embedder.poison = "a text"
    assert (await of_rows(workshop)).seconds is None


async def test_what_submit_refuses_is_refused(workshop: Workshop) -> None:
    """In the same words: a column that is not there, a file that is not there."""
    workshop.write(["a text"])
    wish = TaskRequest("local", "rows.csv", id_column="nope")
    with pytest.raises(InvalidRequest, match="'nope'") as refused:
        await submit(workshop.machine, wish)
    with pytest.raises(InvalidRequest) as estimated:
        await estimate(workshop.machine, wish)
    assert estimated.value.message == refused.value.message
    with pytest.raises(SourceNotFound):
        await estimate(workshop.machine, TaskRequest("local", "nowhere.csv"))


@pytest.mark.parametrize("content", ["", "id,text\n", "id,text"])
async def test_a_table_without_rows_costs_nothing(workshop: Workshop, tmp_path: Path, content: str) -> None:
    """0 bytes or a header only: no rows, no tokens, no dollars, no time, and no error."""
    (tmp_path / "rows.csv").write_text(content)
    found = await of_rows(workshop)
    assert (found.rows, found.rows_to_embed, found.tokens, found.tokens_high, found.chunks) == (0, 0, 0, 0, 0)
    assert (found.dollars, found.seconds, found.memory_bytes, found.exact) == (0.0, 0.0, 0, True)


@pytest.mark.parametrize(("name", "limit"), [("SCAN_BYTES", 100_000), ("SCAN_CHUNKS", 200)])
async def test_a_scan_that_stops_early_says_so(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    """Beyond the limit rows follow from bytes, and nothing claims to be exact."""
    monkeypatch.setattr(survey, name, limit)
    texts = mixed(6_000)
    workshop.write(texts)
    found = await of_rows(workshop)
    assert not found.exact and found.blank_lines is None
    assert found.rows == pytest.approx(6_000, rel=0.05) and found.chunks == pytest.approx(600, rel=0.05)
    assert found.tokens == pytest.approx(sum(-(-len(text.strip()) // 4) for text in texts), rel=0.1)


async def test_the_smallest_chunks_are_sampled_as_well_as_large_ones(workshop: Workshop) -> None:
    """Chunks of one row are joined, so that the sample has the rows it needs, from all over the file."""
    texts = sorted_by_length(6_000)
    workshop.write(texts)
    found = await of_rows(workshop, chunk_size=1)
    assert found.chunks == 6_000 and 2_000 <= found.sampled_rows <= 4_500
    assert found.tokens == pytest.approx(sum(-(-len(text.strip()) // 4) for text in texts), rel=0.03)


async def test_a_record_beyond_the_limit_is_counted_as_rejected(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one row of the sample; after the scan only its beginning is read."""
    workshop.write([*["a text"] * 9, "x" * (3 << 20)])
    monkeypatch.setattr(survey, "MAX_CHUNK_BYTES", 1 << 20)
    reads: list[int] = []
    read = LocalSource.read

    async def watched(source: LocalSource, pin: SourcePin, start: int, end: int) -> bytes:
        reads.append(min(end, pin.size) - start)
        return await read(source, pin, start, end)

    monkeypatch.setattr(LocalSource, "read", watched)
    found = await of_rows(workshop, chunk_size=1)
    assert (found.rows, found.rows_to_embed, found.rejected_share) == (10, 9, 0.1)
    assert 3 << 20 <= sum(size for size in reads if size >= 1 << 20) < 4 << 20


def caller(messages: Iterable[dict[str, Any]]) -> Request:
    """A request whose caller sends these messages and then nothing more."""
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def test_a_caller_who_hangs_up_stops_the_work() -> None:
    """What runs for a caller who has gone is cancelled before the answer is given up."""
    stopped = asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    gone = caller([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])
    with pytest.raises(ClientDisconnect):
        async with asyncio.timeout(PATIENCE):
            await while_connected(gone, endless())
    assert stopped.is_set()


async def test_a_caller_who_stays_gets_the_result_or_the_error() -> None:
    """The work's own result and its own error pass through unchanged."""

    async def answer(value: int) -> int:
        if not value:
            raise InvalidRequest("no")
        return value

    assert await while_connected(caller([]), answer(7)) == 7
    with pytest.raises(InvalidRequest):
        await while_connected(caller([]), answer(0))
