"""Pictures of every page, taken of the running service with real rows: Python's own documentation.

`make pictures` writes them to docs/pictures/. Needs Chromium, and what the tests need.
"""

from __future__ import annotations

import csv
import io
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from app.config import Settings
from app.demo.client import Client
from app.demo.service import ROOT, Service
from app.demo.stdlib_table import write_table

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 1280, 860
COLOURS = 128
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
OPTIONS = {
    "namespace": "python-stdlib",
    "id_column": "name",
    "text_template": "{summary} ({module})",
    "metadata_columns": ["module", "kind", "signature"],
}
REPEATED = 12
"""The table that is still at work when its picture is taken is so many times as long."""
WRONG = ("", "module", "function", "()", "a row without a name", "x")


class Camera:
    """Takes pictures of one page after the other, in the theme that is set."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def take(self, name: str) -> None:
        """With few colours: a page has few, and the file is a third as large."""
        self.page.evaluate("document.fonts.ready")
        data = self.page.screenshot(animations="disabled", caret="hide")
        picture = Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS)
        picture.save(PICTURES / f"{name}.png", optimize=True)
        sys.stdout.write(f"{name}.png {(PICTURES / f'{name}.png').stat().st_size / 1000:.0f} kB\n")


def tables(folder: Path) -> tuple[Path, Path]:
    """The documentation with a few rows that are wrong, and many times as much of it."""
    plain, short, long = (folder / f"{name}.csv" for name in ("plain", "python-stdlib", "python-stdlib-long"))
    write_table(plain)
    header, *rows = list(csv.reader(plain.open(encoding="utf-8", newline="")))
    _write(short, [header, *rows, WRONG, WRONG, (*WRONG, "one cell too many")])
    _write(long, [header, *([f"{name} #{n}", *rest] for n in range(REPEATED) for name, *rest in rows)])
    return short, long


def _write(path: Path, rows: list[list[str]] | list[object]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)  # type: ignore[arg-type]  # rows of text, in lists and tuples


@contextmanager
def opened(url: str, key: str) -> Iterator[Page]:
    """A signed-in browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
        page.set_default_timeout(120_000)
        page.goto(f"{url}/sign-in")
        page.get_by_label("API key").fill(key)
        page.locator("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/")
        yield page
        browser.close()


def tour(camera: Camera, client: Client, short: Path, long: Path) -> None:
    """What a new user sees, in order."""
    page = camera.page
    camera.open("/new")
    camera.take("new")
    options = "&".join(f"{name}={value}" for name, value in OPTIONS.items() if isinstance(value, str))
    camera.open(f"/new/table?data_source=upload&name={short.name}&file_id={client.upload(short)}&{options}")
    expect(page.locator("#estimate dl")).to_be_visible()
    camera.take("preview")
    done = client.process(client.upload(short), batch_size=50, **OPTIONS)
    camera.open(f"/tasks/{done}")
    expect(page.get_by_text("Completed in part")).to_be_visible()
    camera.open(f"/tasks/{done}/errors")
    camera.take("errors")
    camera.open(f"/search?namespace={OPTIONS['namespace']}&limit=5&q=wait+until+another+thread+has+finished")
    camera.take("search")
    running = client.process(client.upload(long), batch_size=200, **OPTIONS | {"namespace": "python-long"})
    camera.open(f"/tasks/{running}")
    expect(page.locator("main")).to_contain_text("left")
    camera.take("task")
    page.emulate_media(color_scheme="dark")
    camera.take("task-dark")
    page.emulate_media(color_scheme="light")
    camera.open(f"/tasks/{running}/chunks")
    expect(page.locator("#legend")).to_contain_text("done")
    camera.take("chunks")
    camera.open("/limits")
    camera.take("workers")
    camera.open("/tasks")
    camera.take("tasks")
    camera.open("/keys")
    camera.take("keys")


def main() -> int:
    key = secrets.token_hex(32)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        config = Settings(data_dir=Path(folder), port=port, min_free_bytes=0)
        short, long = tables(Path(folder))
        with Service(config, key) as service, Client(service.url, key) as client:
            service.wait_until_ready()
            with opened(service.url, key) as page:
                tour(Camera(page, service.url), client, short, long)
    return 0


if __name__ == "__main__":
    sys.exit(main())
