"""Pictures of every page, taken of the running service with real rows: Python's own documentation.

`make pictures` writes one of each to docs/pictures/. `python -m scripts.screenshots FOLDER` takes all of each
page, in both themes and at three widths, to look at. Needs Chromium, and what the tests need.
"""

from __future__ import annotations

import csv
import io
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from app.config import Settings
from app.demo.client import Client
from app.demo.service import ROOT, Service
from app.demo.stdlib_table import write_table

PICTURES = ROOT / "docs" / "pictures"
COLOURS, METHOD = 256, Image.Quantize.MAXCOVERAGE
"""A lamp of a few points keeps its colour."""
PATIENCE_MS = 120_000
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


@dataclass(frozen=True, slots=True)
class View:
    """How a page is looked at; `whole` to its end, not to the end of the window."""

    width: int = 1280
    height: int = 860
    theme: str = "light"
    whole: bool = False


ONE = (View(),)
ALL = tuple(
    View(width, height, theme, whole=True)
    for theme in ("light", "dark")
    for width, height in ((1280, 860), (360, 740), (2560, 1440))
)


class Camera:
    """Takes pictures of one page after the other, as each of `views` has it."""

    def __init__(self, page: Page, url: str, folder: Path, views: Sequence[View]) -> None:
        self.page = page
        self._url, self._folder, self._views = url, folder, views

    @property
    def takes_all(self) -> bool:
        return len(self._views) > 1

    def open(self, path: str) -> None:
        self.page.goto(self._url + path)

    def see(self, words: str, where: str = "main") -> None:
        expect(self.page.locator(where)).to_contain_text(words)

    def take(self, name: str) -> None:
        """What is on the page now, once it has settled."""
        for view in self._views:
            self.page.set_viewport_size({"width": view.width, "height": view.height})
            self.page.emulate_media(color_scheme=view.theme, reduced_motion="reduce")  # type: ignore[arg-type]
            self.page.evaluate(
                "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
            )
            self._keep(
                f"{name}-{view.width}-{view.theme}" if self.takes_all else name,
                self.page.screenshot(animations="disabled", caret="hide", full_page=view.whole),
            )
        self.page.set_viewport_size({"width": self._views[0].width, "height": self._views[0].height})

    def _keep(self, name: str, data: bytes) -> None:
        """With few colours: a page has few, and the file is a third as large."""
        path = self._folder / f"{name}.png"
        Image.open(io.BytesIO(data)).convert("RGB").quantize(COLOURS, METHOD, dither=Image.Dither.NONE).save(
            path, optimize=True
        )
        sys.stdout.write(f"{path.name} {path.stat().st_size / 1000:.0f} kB\n")
        sys.stdout.flush()


def tables(folder: Path) -> tuple[Path, Path]:
    """The documentation with a few rows that are wrong, and many times as much of it."""
    plain, short, long = (folder / f"{name}.csv" for name in ("plain", "python-stdlib", "python-stdlib-long"))
    write_table(plain)
    with plain.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    _write(short, [header, *rows, WRONG, WRONG, (*WRONG, "one cell too many")])
    _write(long, [header, *([f"{name} #{n}", *rest] for n in range(REPEATED) for name, *rest in rows)])
    return short, long


def _write(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@contextmanager
def opened(folder: Path, url: str, views: Sequence[View]) -> Iterator[Camera]:
    """Of a browser that nobody is signed in with."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": views[0].width, "height": views[0].height})
        page.set_default_timeout(PATIENCE_MS)
        yield Camera(page, url, folder, views)
        browser.close()


def sign_in(camera: Camera, url: str, key: str) -> None:
    camera.open("/sign-in")
    if camera.takes_all:
        camera.take("sign-in")
    camera.page.get_by_label("API key").fill(key)
    camera.page.locator("main").get_by_role("button", name="Sign in").click()
    camera.page.wait_for_url(f"{url}/")


def tour(camera: Camera, client: Client, short: Path, long: Path) -> None:
    """What a new user sees, in order."""
    camera.open("/new")
    camera.take("new")
    options = "&".join(f"{name}={value}" for name, value in OPTIONS.items() if isinstance(value, str))
    camera.open(f"/new/table?data_source=upload&name={short.name}&file_id={client.upload(short)}&{options}")
    expect(camera.page.locator("#estimate dl")).to_be_visible()
    camera.take("preview")
    done = client.process(client.upload(short), batch_size=50, title=short.name, **OPTIONS)
    camera.open(f"/tasks/{done}")
    camera.see("Completed in part")
    if camera.takes_all:
        aside(camera, done)
    camera.open(f"/tasks/{done}/errors")
    camera.take("errors")
    camera.open(f"/search?namespace={OPTIONS['namespace']}&limit=5&q=wait+until+another+thread+has+finished")
    camera.see("threading")
    camera.take("search")
    wish = OPTIONS | {"namespace": "python-long", "title": long.name}
    running = client.process(client.upload(long), batch_size=200, **wish)
    camera.open(f"/tasks/{running}")
    camera.see("left", "[data-region=progress]")
    expect(camera.page.locator("#chart canvas")).to_be_visible()
    camera.take("task")
    camera.open(f"/tasks/{running}/chunks")
    camera.see("done", "#legend")
    camera.page.locator("#cells").click(position={"x": 5, "y": 5})
    camera.see("Chunk 0", "#chunk")
    camera.take("chunks")
    for name, path in (("workers", "/limits"), ("tasks", "/tasks"), ("keys", "/keys")):
        camera.open(path)
        camera.take(name)


def aside(camera: Camera, done: str) -> None:
    """What is seen when something is odd: pages to look at, and to show nobody."""
    page = camera.page
    camera.take("aside-task-in-part")
    page.get_by_role("button", name="Verify").click()
    camera.see("Every row", "#notices")
    camera.take("aside-verified")
    for name, path in (
        ("chunk", f"/tasks/{done}/chunks/3"),
        ("none", "/tasks?status=paused"),
        ("not-there", "/nothing"),
        ("refused", "/new/table?data_source=s3_csv&s3_key=nothing.csv"),
        ("wrong", "/new/table?data_source=s3_csv&s3_key=sample.csv&text=template&text_template={nothing}"),
        ("repairs", f"/new?repairs={done}"),
        ("search", "/search"),
    ):
        camera.open(path)
        camera.take(f"aside-{name}")
    camera.open("/keys")
    page.get_by_label("What it is for").fill("nightly import")
    page.get_by_role("button", name="Make the key").click()
    camera.see("vdb_live_", "#new-key")
    camera.take("aside-new-key")


def main() -> int:
    views, folder = (ALL, Path(sys.argv[1])) if len(sys.argv) > 1 else (ONE, PICTURES)
    key = secrets.token_hex(32)
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        config = Settings(data_dir=Path(data), port=port, min_free_bytes=0)
        shutil.copytree(ROOT / "test_data", Path(data, "demo", "test_data"))
        short, long = tables(Path(data))
        with Service(config, key) as service, Client(service.url, key) as client:
            service.wait_until_ready()
            with opened(folder, service.url, views) as camera:
                sign_in(camera, service.url, key)
                if camera.takes_all:
                    camera.take("aside-first")
                tour(camera, client, short, long)
    return 0


if __name__ == "__main__":
    sys.exit(main())
