"""What a new user meets: from the link that `serve` prints to the first searched row."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.acceptance.production import until
from tests.http_service import KEPT, ROOT, free_port
from tests.web.browser_kit import person


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
        link = until(
            lambda: re.findall(r"http\S+/sign-in\?token=\S+", (folder / "said").read_text()), "no link"
        )[0]
        yield link
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
