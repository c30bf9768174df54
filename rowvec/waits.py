"""What the work of a worker waits for, in words, so that whoever looks at a task can be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rowvec.model import Claim

Tell = Callable[[str], None]


class Waits:
    """Sentences of weather that has not passed yet."""

    def __init__(self) -> None:
        self._in_hand: dict[object, tuple[Claim, str]] = {}
        self._handed_back: dict[str, tuple[float, str]] = {}

    @contextmanager
    def in_hand(self, claim: Claim) -> Iterator[Tell]:
        """What is told is waited for until the block ends."""
        call = object()

        def tell(words: str) -> None:
            self._in_hand[call] = (claim, words)

        try:
            yield tell
        finally:
            self._in_hand.pop(call, None)

    def handed_back(self, claim: Claim, words: str, seconds: float) -> None:
        """The work is tried again after so long, by whoever gets it."""
        self._handed_back[claim.task.id] = (time.monotonic() + seconds, words)

    def by_task(self) -> dict[str, str]:
        """One sentence for each task that waits, by its id."""
        now = time.monotonic()
        self._handed_back = {id_: wait for id_, wait in self._handed_back.items() if wait[0] > now}
        found = {id_: words for id_, (_, words) in self._handed_back.items()}
        return found | {claim.task.id: words for claim, words in self._in_hand.values()}
