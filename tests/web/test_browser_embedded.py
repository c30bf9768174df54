"""A person and the embedded service, from signing in to signing out; every cell tries something."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.production import freeze, until
from tests.acceptance.service import Service
from tests.web.browser_kit import person
from tests.web.hostile import CELLS, HOSTILE, hostile_table
from tests.web.journey import A_CHUNK, ROWS, Journey


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service"), MIN_FREE_BYTES="0") as running:
        running.start()
        running.wait_alive()
        yield running


@pytest.fixture
def journey(browser: Browser, service: Service) -> Iterator[Journey]:
    @contextmanager
    def held() -> Iterator[None]:
        worker = service.worker()
        freeze_aside(worker, service.data / "ledger.db")
        try:
            yield
        finally:
            worker.resume()

    until(lambda: service.http.get("/health").json()["workers"]["active"], "no worker is alive")
    with person(browser, service.url) as visitor:
        visitor.sign_in(service.key)
        yield Journey(visitor, held)


def freeze_aside(worker: psutil.Process, ledger: Path) -> None:
    """Stands still, but not in the midst of a write, for the end of which the service would wait."""

    def stands_aside() -> bool:
        freeze(worker)
        with closing(sqlite3.connect(ledger, timeout=1.0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.resume()
                return False
            connection.rollback()
        return True

    until(stands_aside, "the worker always writes")


def test_a_table_fails_is_mended_and_searched(journey: Journey, service: Service, tmp_path: Path) -> None:
    """Upload, preview, estimate, start; a failure that is explained and retried while the grid fills live;
    rejected rows downloaded and sent in again; a search over what landed; signing out."""
    page = journey.person.page
    journey.person.look_over()
    journey.upload(tmp_path, hostile_table(ROWS))
    journey.choose(id_column="id", text_template="{title}!", batch_size=str(A_CHUNK), namespace="odd")
    journey.see(f"{HOSTILE} 0!", "Rows", f"{ROWS:,}", "Free")
    with journey.held():
        task_id = journey.start()
        journey.person.look_over()
        uploaded = next((service.data / "files" / "uploads").iterdir())
        uploaded.rename(tmp_path / "away")
    journey.expect_state("Failed")
    journey.see("Needs you", "is gone or is not the one that was submitted")
    journey.person.look_over()
    page.goto(f"{journey.person.url}/tasks/{task_id}/errors")
    journey.person.look_over()
    page.goto(f"{journey.person.url}/tasks/{task_id}")
    (tmp_path / "away").rename(uploaded)
    journey.watch_the_grid_fill(task_id)

    page.goto(f"{journey.person.url}/tasks/{task_id}")
    journey.expect_state("Completed in part")
    journey.person.look_over()
    journey.follow("Errors")
    journey.see("2 rows rejected", "empty-id")
    journey.person.look_over()
    assert journey.download("All as CSV").count("empty-id") == 2
    assert "'=cmd" in journey.download("Table to repair")
    journey.press("Send rejected rows in again")
    journey.press("Send them in", within="#confirm")
    page.wait_for_url(lambda address: task_id not in address)
    journey.expect_state("Completed")

    page.goto(f"{journey.person.url}/tasks/{task_id}")
    journey.follow("Search it")
    expect(page.get_by_label("Namespace")).to_have_value("odd")
    page.wait_for_load_state()
    page.get_by_label("What are you looking for?").fill("script alert")
    journey.see("nearest to", CELLS[0])
    journey.person.look_over()
    journey.sign_out()


def test_a_paused_task_gets_more_tokens(journey: Journey) -> None:
    """By a form that stands in a part of the page that is made anew: it is taken for ours all the same."""
    page = journey.person.page
    journey.try_the_sample()
    page.locator("aside details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    page.get_by_label("Tokens at most").fill("1")
    with journey.held():
        journey.start()
    journey.expect_state("Paused")
    journey.person.look_over()
    page.get_by_label("More tokens").fill("1000000")
    journey.press("Add and resume")
    journey.expect_state("Completed")


def test_a_task_is_cancelled(journey: Journey) -> None:
    """After a question, for good. The lists and gauges are for everybody, too."""
    page = journey.person.page
    journey.try_the_sample()
    with journey.held():
        journey.start()
        journey.press("Cancel")
        journey.press("Go back", within="#confirm")
        journey.press("Cancel")
        journey.press("Cancel the task", within="#confirm")
    journey.expect_state("Cancelled")
    journey.person.look_over()
    for name in ("Tasks", "Workers"):
        page.locator(".bar nav").get_by_role("link", name=name, exact=True).click()
        journey.person.look_over()
