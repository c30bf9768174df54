"""Every page that a person meets before a task runs, in a real browser: for everybody, and only text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from fastapi.routing import iter_route_contexts
from playwright.sync_api import Browser, expect

from app.web.routes import router
from tests.http_service import Running, follow, serve, uvicorn
from tests.tenant_kit import sent
from tests.web.browser_kit import Person, person
from tests.web.hostile import CELLS, HOSTILE, NAME, hostile_table

KEY = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"

OTHERS = {
    "/sign-in", "/tasks/{task_id}/rejected", "/tasks/{task_id}/chunks/cells", "/tasks/{task_id}/chunks/table",
}  # fmt: skip
"""What is seen before signing in, downloaded, or a part of a page."""


def addresses() -> set[str]:
    """Whatever the dashboard answers a GET at, but for streams and files."""
    found = {one.path for one in iter_route_contexts(router.routes) if "GET" in (one.methods or ())}
    return {path for path in found if path and not path.startswith(("/live/", "/static/"))}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    tables = tmp_path_factory.mktemp("tables")
    (tables / NAME).write_bytes(hostile_table(6))
    settings = {"API_KEYS": KEY, "LOCAL_FILES_DIR": str(tables), "METABASE_URL": "http://127.0.0.1:9"}
    with serve(uvicorn(), tmp_path_factory.mktemp("service"), **settings) as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, service: Running) -> Iterator[Person]:
    with person(browser, service.url) as made:
        made.sign_in(KEY)
        yield made


def test_signing_in(browser: Browser, service: Running) -> None:
    """The page itself, a key that opens nothing, and the one that does."""
    with person(browser, service.url) as stranger:
        stranger.page.goto(f"{service.url}/search?q=lamp")
        stranger.look_over()
        stranger.page.get_by_label("API key").fill("nothing of ours")
        stranger.page.locator("main").get_by_role("button", name="Sign in").click()
        expect(stranger.page.get_by_role("alert")).to_contain_text("opens nothing")
        stranger.look_over()
        stranger.page.get_by_label("API key").fill(KEY)
        stranger.page.locator("main").get_by_role("button", name="Sign in").click()
        stranger.page.wait_for_url("**/search?q=lamp")


def test_a_hostile_table_is_only_text(visitor: Person) -> None:
    """Chosen from the list, as it will be embedded, with its options: shown, and never run."""
    page = visitor.page
    page.goto(f"{visitor.url}/new")
    visitor.look_over()
    page.get_by_role("link", name=NAME).click()
    for cell in CELLS:
        expect(page.locator("ol.previewed")).to_contain_text(cell)
    expect(page.locator("#estimate")).to_contain_text("6")
    expect(page.get_by_text("Rejected", exact=True)).to_be_visible()
    page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    page.get_by_label("These columns").first.check()
    visitor.look_over()
    page.get_by_label("A template").check()
    page.get_by_label("Template", exact=True).fill("{no such column}")
    expect(page.locator("#error-text_template")).to_contain_text("no such column")
    expect(page.get_by_label("Template", exact=True)).to_have_attribute("aria-invalid", "true")
    visitor.look_over()
    page.get_by_label("Template", exact=True).fill("{title}!")
    expect(page.locator("ol.previewed")).to_contain_text(f"{HOSTILE} 0!")
    expect(page.get_by_label("Template", exact=True)).not_to_have_attribute("aria-invalid", "true")


def test_every_page_is_for_everybody(visitor: Person, service: Running) -> None:
    """With a task of a hostile table on it; a page that is made later is missed here."""
    with service.client(KEY) as api:
        task_id = sent(
            api, data_source="s3_csv", s3_key=NAME, id_column="id", namespace="odd", batch_size=1,
            text_columns=["title"],
        )  # fmt: skip
        assert follow(api, task_id)[-1] == "end"
    pages = {
        "/": "/",
        "/tasks": "/tasks?status=completed",
        "/tasks/{task_id}": f"/tasks/{task_id}",
        "/tasks/{task_id}/chunks": f"/tasks/{task_id}/chunks",
        "/tasks/{task_id}/chunks/{number}": f"/tasks/{task_id}/chunks/2",
        "/tasks/{task_id}/errors": f"/tasks/{task_id}/errors",
        "/limits": "/limits",
        "/new": f"/new?repairs={task_id}",
        "/new/table": "/new/table?" + urlencode({"data_source": "s3_csv", "s3_key": NAME}),
        "/search": "/search?namespace=odd&q=script",
        "/keys": "/keys",
    }
    assert set(pages) == addresses() - OTHERS
    for path in pages.values():
        visitor.page.goto(f"{visitor.url}{path}")
        visitor.look_over()


def test_keys_are_made_and_taken_back(visitor: Person) -> None:
    """By mouse: made, copied, revoked after a question."""
    page = visitor.page
    page.goto(f"{visitor.url}/keys")
    visitor.look_over()
    page.get_by_label("What it is for").fill(HOSTILE)
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#new-key")).to_contain_text("vdb_live_")
    visitor.look_over()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Go back").click()
    expect(page.get_by_text("Open", exact=True)).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    visitor.look_over()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    page.get_by_text("Whose it is, and its limits").click()
    page.get_by_label("Tenant").fill("Not One")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_label("Tenant")).to_have_attribute("aria-invalid", "true")
    visitor.look_over()


def test_a_page_that_is_not_there(visitor: Person) -> None:
    """A refusal is a page like the others."""
    for path in ("/nothing", "/tasks/00000000-0000-4000-8000-000000000000", "/new/table?s3_key=x"):
        visitor.page.goto(f"{visitor.url}{path}")
        visitor.look_over()


def test_a_file_that_is_too_large_is_refused_beside_its_field(visitor: Person, tmp_path: Path) -> None:
    """Before a byte of it is sent."""
    (tmp_path / "big.csv").write_bytes(b"id,title\n")
    page = visitor.page
    page.goto(f"{visitor.url}/new")
    page.locator("#upload").evaluate("form => form.dataset.most = 5")
    page.get_by_label("CSV file").set_input_files(tmp_path / "big.csv")
    expect(page.locator("#file-error")).to_contain_text("5 bytes is the most")
    visitor.look_over()
