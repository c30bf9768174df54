"""A real browser before the real service. What its policy refused, and what its scripts raised, is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

from tests.acceptance.production import until
from tests.web.hostile import INTRUDERS, LOOSE

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 1280, 2560)
PATIENCE_MS = 60_000
REFUSALS = (
    "Failed to load resource",
    "Response Status Error Code 422",
    "htmx:sendAbort",
    "htmx:afterRequest",
)
"""How the browser and htmx tell in the console of an answer that refuses something, and of a question that
was given up because its page was left."""
POLICY = "content-security-policy"
_TELL = """addEventListener("securitypolicyviolation", (event) =>
  window.tellViolation(`${event.violatedDirective}: ${event.blockedURI} in ${event.documentURI}`))"""
_TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Debian's, without a window. One for a whole file of tests."""
    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("There is no Chromium on this machine. Install it: apt-get install chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Person:
    """Somebody with a browser of their own. `complaints` are scripts that failed and policies that held."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def sign_in(self, key: str) -> None:
        self.page.goto(f"{self.url}/")
        self.page.get_by_label("API key").fill(key)
        self.page.locator("main").get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.url}/")

    def look_over(self) -> None:
        """This page is for everybody, in both themes and at every width, and what tables hold is text in it;
        else AssertionError says why."""
        self.page.wait_for_load_state()
        for search in (INTRUDERS, LOOSE):
            strange = self.page.evaluate(search)
            assert not strange, f"{self.page.url}: {strange}"
        shown = self.page.viewport_size
        for theme in THEMES:
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found = Axe().run(self.page)
            assert not found.violations_count, f"{self.page.url}, {theme}:\n{found.generate_report()}"
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 900})
            self._expect_fits(width)
        self.page.emulate_media(color_scheme=None, reduced_motion=None)
        if shown:
            self.page.set_viewport_size(shown)

    def _expect_fits(self, width: int) -> None:
        """Once it has settled: what is drawn follows the page's width."""
        wide = f"{self.page.url} is too wide for {width} px"
        until(lambda: self.page.evaluate(_TOO_WIDE) <= 0, wide, PATIENCE_MS / 1000)

    def _heard(self, message: ConsoleMessage) -> None:
        """A refused request is told by the page itself; all else in the console is a fault."""
        if message.type == "error" and not message.text.startswith(REFUSALS):
            self.complaints.append(f"console: {message.text}")

    def _answered(self, answer: Response) -> None:
        if "html" in answer.headers.get("content-type", "") and POLICY not in answer.headers:
            self.complaints.append(f"no policy: {answer.url}")


@contextmanager
def person(browser: Browser, url: str, trusts_all: bool = False) -> Iterator[Person]:
    """A fresh browser profile on the service at `url`. Raises AssertionError at the end for any complaint.
    Who `trusts_all` takes any certificate."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True, ignore_https_errors=trusts_all
    )
    context.set_default_timeout(PATIENCE_MS)
    made = Person(context.new_page(), url)
    made.page.expose_function("tellViolation", lambda told: made.complaints.append(told))
    made.page.add_init_script(_TELL)
    made.page.on("console", made._heard)
    made.page.on("response", made._answered)
    made.page.on("pageerror", lambda error: made.complaints.append(f"script: {error}"))
    try:
        yield made
    finally:
        context.close()
    assert not made.complaints, made.complaints
