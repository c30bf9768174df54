"""The same person before Celery, PostgreSQL, S3, OpenAI and Pinecone: the last four as stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from standins.process import Standin, started
from tests.acceptance.production import INDEXES, OPENAI_KEY, Production, freeze, production
from tests.servers import postgres, redis, standin
from tests.servers.moto import Moto
from tests.web.browser_kit import person
from tests.web.hostile import CELLS, MARKER, hostile_table
from tests.web.journey import A_CHUNK, Journey

ROWS = 300


@pytest.fixture(scope="module")
def openai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standin]:
    with standin.running("openai", tmp_path_factory.mktemp("openai"), key=OPENAI_KEY) as server:
        yield server.standin


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, openai: Standin, moto: Moto) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    with (
        started("pinecone", indexes=INDEXES) as pinecone,
        redis.running(tmp_path_factory.mktemp("redis")) as broker,
        postgres.running() as ledger,
        production(folder, openai, pinecone, moto, BROKER_URL=broker.url, LEDGER_URL=ledger.url) as running,
    ):
        yield running


@pytest.fixture
def journey(browser: Browser, whole: Production) -> Iterator[Journey]:
    @contextmanager
    def held() -> Iterator[None]:
        working = [process for worker in whole.workers for process in (worker.program, *worker.pool())]
        for process in working:
            freeze(process)
        try:
            yield
        finally:
            for process in working:
                process.resume()

    with person(browser, whole.service.url) as visitor:
        visitor.sign_in(whole.service.key)
        yield Journey(visitor, held)


def test_a_table_of_the_bucket_is_refused_in_part_and_mended(
    journey: Journey, whole: Production, openai: Standin, tmp_path: Path
) -> None:
    """Its price beforehand; the provider's refusals explained, row by row; sent in again once it takes them;
    searched; another task cancelled; signing out."""
    page = journey.person.page
    openai.set(marker=MARKER)
    journey.upload(tmp_path, hostile_table(ROWS, marked=True))
    journey.choose(id_column="id", text_template="{title}", batch_size=str(A_CHUNK), namespace="odd")
    journey.see("a million tokens", "Rows")
    with journey.held():
        task_id = journey.start()
        page.goto(f"{journey.person.url}/tasks/{task_id}/chunks")
        page.evaluate("window.isTheSamePage = true")
        journey.person.look_over()
    journey.see(f"{ROWS // A_CHUNK - 4} done", "4 done, rows rejected", within="#legend")
    assert page.evaluate("window.isTheSamePage")

    page.goto(f"{journey.person.url}/tasks/{task_id}")
    journey.expect_state("Completed in part")
    journey.person.look_over()
    journey.follow("Errors")
    journey.see("5 rows rejected", "refused-by-embedder")
    journey.person.look_over()
    told = journey.download("All as CSV")
    assert told.count(MARKER) >= 3 and "\n=cmd" not in told
    openai.set(marker=None)
    journey.press("Send rejected rows in again")
    journey.press("Send them in", within="#confirm")
    page.wait_for_url(lambda address: task_id not in address)
    journey.expect_state("Completed in part")

    page.goto(f"{journey.person.url}/search?namespace=odd")
    page.get_by_label("What are you looking for?").fill("script")
    journey.press("Search")
    expect(page.locator("ol.found > li").first).to_be_visible()
    journey.person.look_over()

    whole.moto.client("s3").put_object(Bucket=whole.bucket, Key="tables/few.csv", Body=hostile_table(40))
    page.locator(".bar nav").get_by_role("link", name="New task").click()
    page.get_by_role("link", name="few.csv").click()
    journey.see(CELLS[0])
    with journey.held():
        journey.start()
        journey.press("Cancel")
        journey.press("Cancel the task", within="#confirm")
    journey.expect_state("Cancelled")
    journey.sign_out()
