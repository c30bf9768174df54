"""What a person does from signing in to signing out, step by step, the same on every kind of service."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.web.browser_kit import Person
from tests.web.hostile import CELLS, NAME, TAME

ROWS = 600
A_CHUNK = 20
CHUNKS = ROWS // A_CHUNK


@dataclass(frozen=True)
class Journey:
    """`held` keeps workers from their work as long as it lasts; nothing is lost by it."""

    person: Person
    held: Callable[[], AbstractContextManager[None]]

    def see(self, *words: str, within: str = "main") -> None:
        for one in words:
            expect(self.person.page.locator(within)).to_contain_text(one)

    def press(self, name: str, within: str = "main") -> None:
        self.person.page.locator(within).get_by_role("button", name=name, exact=True).first.click()

    def follow(self, name: str) -> None:
        self.person.page.locator("main").get_by_role("link", name=name).first.click()

    def upload(self, folder: Path, table: bytes) -> None:
        """By the form, to the page about it."""
        page = self.person.page
        (folder / NAME).write_bytes(table)
        self.person.page.locator(".bar nav").get_by_role("link", name="New task").click()
        page.get_by_label("CSV file").set_input_files(folder / NAME)
        page.wait_for_url("**/new/table?**")
        self.see(TAME, "Will be embedded", *CELLS)

    def try_the_sample(self) -> None:
        """Of the service, by its button, to the page about it."""
        page = self.person.page
        page.goto(f"{self.person.url}/new")
        self.press("Try the sample")
        page.wait_for_url("**/new/table?**")

    def choose(self, **options: str) -> None:
        """Fill in options by the names of their fields, and wait for the preview to follow."""
        page = self.person.page
        page.locator("aside details").evaluate_all("all => all.forEach((one) => (one.open = true))")
        page.get_by_label("A template").check()
        for name, value in options.items():
            field = page.locator(f"#options [name={name}]")
            field.select_option(value) if name == "id_column" else field.fill(value)

    def start(self) -> str:
        """Press Start; returns the task's id."""
        page = self.person.page
        expect(page.locator("#estimate dl")).to_be_visible()
        page.get_by_role("button", name="Start").click()
        page.wait_for_url("**/tasks/*")
        return page.url.rsplit("/", 1)[1]

    def watch_the_grid_fill(self, task_id: str) -> None:
        """Begun while workers are held, and seen to its end without loading the page again."""
        page = self.person.page
        with self.held():
            self.press("Retry what failed")
            self.see("Trying again", within="#notices")
            page.goto(f"{self.person.url}/tasks/{task_id}/chunks")
            page.evaluate("window.isTheSamePage = true")
            expect(page.locator("#legend")).not_to_contain_text("done")
            self.person.look_over()
        self.see(f"{CHUNKS - 1} done", "1 done, rows rejected", within="#legend")
        assert page.evaluate("window.isTheSamePage"), "the page was loaded again"
        page.locator("#cells").click(position={"x": 5, "y": 5})
        self.see("Chunk 0", CELLS[0], within="#chunk")
        self.person.look_over()

    def expect_state(self, word: str) -> None:
        expect(self.badge(word)).to_be_visible()

    def badge(self, word: str) -> Locator:
        return self.person.page.locator("main .badge", has_text=word).first

    def download(self, name: str) -> str:
        """The text of what a link gives."""
        with self.person.page.expect_download() as coming:
            self.person.page.locator("main").get_by_role("link", name=name).first.click()
        return Path(coming.value.path()).read_text("utf-8-sig")

    def sign_out(self) -> None:
        """And then nothing is shown any more."""
        page = self.person.page
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(f"{self.person.url}/tasks")
        page.wait_for_url("**/sign-in?**")
