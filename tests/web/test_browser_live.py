"""A page that stays right in a real browser: by its stream, without one, unseen, and after it broke off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.acceptance.production import until
from tests.infrastructure.proxy import NAME, Proxy, laid_out
from tests.servers.process import Server
from tests.tenant_kit import OPERATOR, House, sent
from tests.web.browser_kit import chromium, person

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""What the browser tells a page that is covered, or shown again."""


@pytest.fixture(scope="module")
def nginx(shared: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Server]]:
    it, server = laid_out(shared.first.url, tmp_path_factory.mktemp("proxy") / "nginx")
    server.start()
    yield it, server
    server.stop()


@pytest.fixture(scope="module")
def browser(nginx: tuple[Proxy, Server]) -> Iterator[Browser]:
    """Finds nginx under the name that it serves."""
    with chromium(f"--host-resolver-rules=MAP {NAME} 127.0.0.1:{nginx[0].tls}") as opened:
        yield opened


def new_task(shared: House, title: str) -> None:
    with shared.first.client(OPERATOR) as api:
        sent(api, title=title)


def expect_live(page: Page, *titles: str) -> None:
    """The list shows them, and the lamp says that it follows; the page was never loaded again."""
    for title in titles:
        expect(page.locator("[data-region=list]")).to_contain_text(title)
    expect(page.locator("#live-state")).to_have_text("Live")
    assert page.evaluate("window.isTheSamePage")


def opened(page: Page, url: str) -> None:
    page.goto(f"{url}/tasks")
    page.evaluate("window.isTheSamePage = true")


@pytest.mark.parametrize("kind", ["refused", "held back"])
def test_a_list_without_streams(browser: Browser, shared: House, kind: str) -> None:
    """A proxy that answers streams with an error, or lets nothing of them through: the page asks instead."""
    with person(browser, shared.first.url) as visitor:
        page, held = visitor.page, list[Route]()
        visitor.sign_in(OPERATOR)

        def through(route: Route) -> None:
            if "json" in route.request.headers["accept"]:
                route.continue_()
            elif kind == "refused":
                route.fulfill(status=502)
            else:
                held.append(route)

        page.route("**/live/**", through)
        opened(page, visitor.url)
        expect_live(page)
        new_task(shared, f"while streams are {kind}")
        expect_live(page, f"while streams are {kind}")
        for route in held:
            route.abort()


def test_a_page_that_nobody_sees(browser: Browser, shared: House) -> None:
    """Its stream is closed, and it asks for nothing; shown again it is right at once."""
    with person(browser, shared.first.url) as visitor:
        page = visitor.page
        visitor.sign_in(OPERATOR)
        opened(page, visitor.url)
        expect_live(page)
        with page.expect_event("requestfailed", lambda request: "/live/" in request.url):
            page.evaluate(HIDE, True)
        asked = list[str]()
        page.on("request", lambda request: asked.append(request.url))
        new_task(shared, "while nobody looked")
        assert page.get_by_text("while nobody looked").count() == 0 and not asked
        page.evaluate(HIDE, False)
        expect_live(page, "while nobody looked")


def test_behind_nginx_which_is_started_again(
    browser: Browser, shared: House, nginx: tuple[Proxy, Server]
) -> None:
    """With the file that is deployed: signed in over TLS, followed as it happens, and right after a break."""
    _, server = nginx
    with person(browser, f"https://{NAME}", trusts_all=True) as visitor:
        page = visitor.page
        visitor.sign_in(OPERATOR)
        opened(page, visitor.url)
        new_task(shared, "through nginx")
        expect_live(page, "through nginx")
        (cookie,) = page.context.cookies()
        assert cookie["name"].startswith("__Host-") and cookie["secure"] and cookie["httpOnly"]
        streams = list[str]()
        page.on("request", lambda request: streams.append(request.resource_type))
        server.stop()
        expect(page.locator("#live-state")).to_contain_text("Connection lost")
        new_task(shared, "while nginx was away")
        server.start()
        expect_live(page, "through nginx", "while nginx was away")
        until(lambda: "eventsource" in streams, "no stream again")
