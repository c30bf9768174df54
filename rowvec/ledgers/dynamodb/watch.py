"""Whose beat stands still: DynamoDB has no clock that all agree on, so whoever sweeps uses its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


class Watch:
    """When this process first saw each worker's last beat, on a clock that nobody sets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}

    def saw(self, worker: str, mark: str) -> None:
        """A mark that is another one than before is a beat."""
        if self._seen.get(worker, ("", 0.0))[0] != mark:
            self._seen[worker] = (mark, self._clock())

    def silent(self, marks: Mapping[str, str], seconds: float) -> list[str]:
        """Of the workers that there are, those whose mark has been the same for longer than that."""
        for worker, mark in marks.items():
            self.saw(worker, mark)
        self._seen = {worker: self._seen[worker] for worker in marks}
        now = self._clock()
        return [worker for worker, (_, since) in self._seen.items() if now - since > seconds]
