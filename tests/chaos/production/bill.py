"""Who paid for what twice, row by row, and who may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.chaos.production.blows import Blow
from tests.chaos.production.history import SETTLE, Hold
from tests.chaos.production.takeover import struck


@dataclass(frozen=True)
class Bill:
    """By row number. `billed`: how often its text was paid; `in_flight`: at how many blows it was in the
    struck process's hands; `lost`: how often the provider billed it and lost the answer; `handed_on`: how
    often another got its chunk though nobody was struck; `settled`: how often settling may have asked for it.
    """

    billed: Mapping[int, int]
    in_flight: Counter[int]
    lost: Mapping[int, int]
    handed_on: Counter[int]
    settled: Counter[int]

    @property
    def paid_twice(self) -> int:
        """Texts beyond the first of each row."""
        return sum(max(0, times - 1) for times in self.billed.values())

    @property
    def may_be_paid_twice(self) -> int:
        return sum(self._may(row) for row in self.billed)

    def beyond(self) -> list[int]:
        """Rows that were paid more often than they may be."""
        return [row for row, times in self.billed.items() if times > 1 + self._may(row)]

    def _may(self, row: int) -> int:
        return self.in_flight[row] + self.lost[row] + self.handed_on[row] + self.settled[row]


def in_flight(held: Mapping[int, list[Hold]], blows: Iterable[Blow]) -> Counter[int]:
    """At how many blows each row was of a chunk in the struck process's hands."""
    return Counter(row for blow in blows for hold in struck(held, blow) for row in hold.numbers)


def handed_on(held: Mapping[int, list[Hold]], blows: Iterable[Blow]) -> Counter[int]:
    """How often each row's chunk changed hands though its holder was not struck."""
    by_blows = {(hold.number, hold.fence) for blow in blows for hold in struck(held, blow)}
    return Counter(
        row
        for each in held.values()
        for hold in each[:-1]
        if (hold.number, hold.fence) not in by_blows
        for row in hold.numbers
    )


def settlings(held: Mapping[int, list[Hold]], rows: Iterable[int]) -> Counter[int]:
    """Each of these rows as often as the task was settled, or begun to be."""
    return Counter(dict.fromkeys(rows, len(held.get(SETTLE, ()))))
