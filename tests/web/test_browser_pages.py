"""Every page that a person meets before a task runs, in a real browser: for everybody, and only text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.http_service import Running, serve, uvicorn
from tests.web.browser_kit import Person, chromium, person

KEY = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
TURNED = "\u202eexe.gpj\u2067 hidden"
CELLS = (HOSTILE, '=HYPERLINK("http://evil.example")', TURNED, "</textarea></p><svg/onload=alert(3)>")
NAME = "odd '\"><b>name.csv"


def hostile_table() -> bytes:
    """Each cell is somebody's attempt; one row is rejected, one column has such a name, too."""
    rows = [f'{number},"{cell.replace(chr(34), chr(34) * 2)}",x' for number, cell in enumerate(CELLS)]
    return "\n".join(['id,title,"<i onclick=alert(4)>more</i>"', *rows, f',"{TURNED}",y']).encode()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    tables = tmp_path_factory.mktemp("tables")
    (tables / NAME).write_bytes(hostile_table())
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
    expect(page.locator("#estimate")).to_contain_text("5")
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
    expect(page.locator("ol.previewed")).to_contain_text(f"{HOSTILE}!")
    expect(page.get_by_label("Template", exact=True)).not_to_have_attribute("aria-invalid", "true")


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
