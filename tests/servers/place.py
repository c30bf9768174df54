"""Where a program runs: on the machine of the tests, or on a host of a network that stands for several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """`address` is where others reach what listens there; `enter` goes before a command that runs there."""

    address: str = "127.0.0.1"
    enter: tuple[str, ...] = ()

    def command(self, folder: Path, *command: str | Path) -> list[str]:
        """The command as it is started from the machine of the tests, to run in that folder."""
        entered = [*self.enter, "env", f"--chdir={folder}"] if self.enter else []
        return [*entered, *map(str, command)]


HERE = Place()
