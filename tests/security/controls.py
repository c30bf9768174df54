"""What takes each control of the threat model out, and which tests fail then."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parent / "controls.toml"
TEST = re.compile(r"`(tests/[\w/]+\.py::\w+)`")


@dataclass(frozen=True)
class Edit:
    """A text that is once in its file, and what takes its place."""

    file: str
    text: str
    instead: str

    def times(self, root: Path = ROOT) -> int:
        return (root / self.file).read_text().count(self.text)

    def make(self, root: Path) -> None:
        path = root / self.file
        path.write_text(path.read_text().replace(self.text, self.instead))

    def undo(self, root: Path) -> None:
        (root / self.file).write_bytes((ROOT / self.file).read_bytes())


@dataclass(frozen=True)
class Control:
    """`out` takes it out; then each of `tests`, as far as `narrow` (pytest's -k) lets it run, must fail."""

    threat: str
    control: str
    tests: tuple[str, ...]
    out: tuple[Edit, ...]
    narrow: str = ""


def controls() -> list[Control]:
    found = tomllib.loads(FILE.read_text())["control"]
    return [
        Control(
            one["threat"],
            one["control"],
            tuple(one["tests"]),
            tuple(Edit(**edit) for edit in one["out"]),
            one.get("narrow", ""),
        )
        for one in found
    ]


def threats() -> dict[str, set[str]]:
    """The tests of each row of the threat model in docs/security.md, by its threat."""
    lines = (ROOT / "docs" / "security.md").read_text().splitlines()
    return {line.split("|")[2].strip(): set(TEST.findall(line)) for line in lines if line.startswith("| API")}
