"""What happened, line by line: equal for equal seeds, to the last letter."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256


class Trace:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(f"{self._clock():10.4f} {line}")

    @property
    def digest(self) -> str:
        return sha256("\n".join(self.lines).encode()).hexdigest()
