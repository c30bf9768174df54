"""A person and the embedded service, from signing in to signing out; every cell tries something."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.production import freeze, until
from tests.acceptance.service import Service
from tests.http_service import KEPT, ROOT, free_port
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
        freeze(worker)
        try:
            yield
        finally:
            worker.resume()

    until(lambda: service.http.get("/health").json()["workers"]["active"], "no worker is alive")
    with person(browser, service.url) as visitor:
        visitor.sign_in(service.key)
        yield Journey(visitor, held)


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


def test_a_task_is_cancelled(journey: Journey) -> None:
    """After a question, for good. The lists and gauges are for everybody, too."""
    page = journey.person.page
    page.goto(f"{journey.person.url}/new")
    journey.press("Try the sample")
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


def test_the_first_searched_row_by_mouse_alone(browser: Browser, tmp_path: Path) -> None:
    """From the link that `serve` prints: the sample, its preview, start, and the link to its rows."""
    with served(tmp_path) as link, person(browser, link.partition("/sign-in")[0]) as visitor:
        page = visitor.page
        page.goto(link)
        visitor.look_over()
        page.get_by_role("link", name="New task").first.click()
        page.get_by_role("button", name="Try the sample").click()
        expect(page.get_by_text("Desk lamp: A small lamp")).to_be_visible()
        page.get_by_role("button", name="Start").click()
        page.get_by_role("link", name="Search it").click()
        page.get_by_role("link", name="a lamp for a small desk").click()
        expect(page.locator("ol.found > li").first).to_contain_text("lamp")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """What a new user starts, with nothing configured; the link that it prints to sign in."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT), "MIN_FREE_BYTES": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--port", str(free_port())], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL, stderr=(folder / "said").open("wb"),
    )  # fmt: skip
    try:
        yield until(
            lambda: re.findall(r"http\S+/sign-in\?token=\S+", (folder / "said").read_text()), "no link"
        )[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
