"""How long the work of a worker that was killed or stopped lay before another had it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.production.blows import HOST, PROCESS, PROGRAM, STOP, Blow
from tests.chaos.production.history import DONE, OPEN, Hold

UNDER_WAY = 1.0
"""Seconds: a claim that was sent before the blow may have been noted after it."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, one for each chunk that changed hands."""

    seconds: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The nearest rank: 0.5 is the median, 1 the worst; 0 where there are none."""
        ranked = sorted(self.seconds)
        return ranked[max(0, -int(-share * len(ranked) // 1) - 1)] if ranked else 0.0


def struck(held: Mapping[int, list[Hold]], blow: Blow) -> list[Hold]:
    """What was in the hands of the process that was struck, and not done by then."""
    if not blow.pid:
        return []
    return [
        hold
        for each in held.values()
        for hold in each
        if f"-{blow.pid}-" in hold.worker and hold.since <= blow.at + UNDER_WAY and hold.until > blow.at
    ]


def taken_back(held: Mapping[int, list[Hold]], blows: Iterable[Blow]) -> dict[str, Times]:
    """By the kind of blow, until somebody saw it and let others have the work."""
    times = _none()
    for blow in blows:
        for hold in struck(held, blow):
            if hold.ended not in (DONE, OPEN):
                times[blow.kind].seconds.append(hold.until - blow.at)
    return times


def taken_over(held: Mapping[int, list[Hold]], blows: Iterable[Blow]) -> dict[str, Times]:
    """By the kind of blow, until another had it. Work that was done in spite of it needs nobody."""
    times = _none()
    for blow in blows:
        for hold in struck(held, blow):
            later = [other for other in held[hold.number] if other.since > hold.since]
            if later:
                times[blow.kind].seconds.append(later[0].since - blow.at)
    return times


def _none() -> dict[str, Times]:
    return {kind: Times() for kind in (PROCESS, PROGRAM, HOST, STOP)}
