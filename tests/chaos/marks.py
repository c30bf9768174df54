"""Marks: one line for each thing a worker does, so that a harness outside can aim at it and count it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE = "CHAOS_MARKS"
LIFE = "CHAOS_LIFE"
PACE = "CHAOS_PACE"
EMBEDDER = "CHAOS_EMBEDDER"

PLAN, APPEND, PLANNED = "plan", "append", "planned"
CLAIM, EMBED, STORE, STORED, COMMIT, COMMITTED = "claim", "embed", "store", "stored", "commit", "committed"
SETTLE, ENDING, SETTLED, ALIVE = "settle", "ending", "settled", "alive"
"""Pairs tell before from after: append, planned, store, commit and ending stand before the call."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`life` counts the starts of the service, `number` is a chunk's, -1 where it is of none."""

    life: int
    what: str
    rows: int = 0
    number: int = -1


def write(what: str, rows: int = 0, number: int = -1) -> None:
    """Append a mark to the file that `CHAOS_MARKS` names: in one write, whole or not at all."""
    line = json.dumps([int(os.environ[LIFE]), what, rows, number]) + "\n"
    descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


class Tail:
    """Reads marks as they come."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._rest = b""
        self.seen: list[Mark] = []

    def more(self) -> Iterator[Mark]:
        """Marks written since the last call."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            mark = Mark(*json.loads(line))
            self.seen.append(mark)
            yield mark

    def close(self) -> None:
        self._file.close()
