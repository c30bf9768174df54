"""From marks to numbers: what each kill cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos import marks
from tests.chaos.marks import Mark


@dataclass(frozen=True, slots=True)
class Life:
    """One start of the service and its end. Rows `embedded` by chunks, `counted` of them by commits that
    stand, `settling`: embedded by settling; `in_flight`: of chunks claimed and not committed at its end."""

    embedded: int
    counted: int
    settling: int
    in_flight: int

    @property
    def again(self) -> int:
        """Rows embedded in vain: a later life has embedded them again."""
        return self.embedded - self.counted


def lives(seen: Iterable[Mark]) -> list[Life]:
    """The lives in order, from all marks."""
    every = list(seen)
    embedded, settling = _embedded(every)
    counted = Counter[int]()
    for mark in _standing(every):
        counted[mark.life] += mark.rows
    return [
        Life(embedded[life], counted[life], settling[life], _in_flight(every, life))
        for life in range(max((mark.life for mark in every), default=-1) + 1)
    ]


def _embedded(every: Iterable[Mark]) -> tuple[Counter[int], Counter[int]]:
    """Rows embedded by chunks and by settling: once a life settles its only task, no chunk is left."""
    by_chunks, by_settling = Counter[int](), Counter[int]()
    settles: set[int] = set()
    for mark in every:
        if mark.what == marks.SETTLE:
            settles.add(mark.life)
        elif mark.what == marks.EMBED:
            (by_settling if mark.life in settles else by_chunks)[mark.life] += mark.rows
    return by_chunks, by_settling


def _standing(every: Iterable[Mark]) -> Iterable[Mark]:
    """The last attempt to commit each chunk: had an earlier one succeeded, there were no later one."""
    return {mark.number: mark for mark in every if mark.what == marks.COMMIT}.values()


def _in_flight(every: Iterable[Mark], life: int) -> int:
    held = {}
    for mark in every:
        if mark.life == life and mark.what == marks.CLAIM:
            held[mark.number] = mark.rows
        elif mark.life == life and mark.what == marks.COMMITTED:
            held.pop(mark.number, None)
    return sum(held.values())
