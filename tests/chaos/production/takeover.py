"""How long the work of a worker that was killed or stopped lay before another had it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import inf

from tests.chaos.production.blows import HOST, POSTGRES, PROCESS, PROGRAM, STOP, Blow
from tests.chaos.production.history import DONE, OPEN, Hold, pid_of

UNDER_WAY = 1.0
"""Seconds: a claim that was sent before the blow may have been noted after it."""
TOGETHER = "together"

Span = tuple[float, float]
"""From when to when."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, one for each chunk that changed hands."""

    seconds: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """The nearest rank: 0.5 is the median, 1 the worst; 0 where there are none."""
        ranked = sorted(self.seconds)
        return ranked[max(0, -int(-share * len(ranked) // 1) - 1)] if ranked else 0.0


@dataclass(frozen=True, slots=True)
class Presence:
    """When there was somebody who could have taken work over, and a ledger: in these spans, of which none
    touches another."""

    spans: list[Span]

    def seconds(self, since: float, until: float) -> float:
        """For so long, of this time."""
        return sum(max(0.0, min(b, until) - max(a, since)) for a, b in self.spans)


ALWAYS = Presence([(0.0, inf)])
NEVER_FULL: Mapping[str, list[Span]] = {}


def presence(
    came: Mapping[str, float], blows: Iterable[Blow], full: Mapping[str, list[Span]] = NEVER_FULL
) -> Presence:
    """Of workers that were neither killed nor stopped, nor had all they may have. `came`: when each was first
    in the ledger, by id; `full`: when it could take no more. A process that was buried comes under a new id:
    under the old one nothing is given to it any more."""
    blows = list(blows)
    without_ledger = [(blow.at, blow.until) for blow in blows if blow.kind == POSTGRES]
    spans: list[Span] = []
    for worker, since in came.items():
        pid = pid_of(worker)
        struck = [(b.at, b.until or inf) for b in blows if b.pid == pid and b.at >= since]
        anew = [(at, inf) for other, at in came.items() if pid_of(other) == pid and at > since]
        spans += _left(since, sorted([*without_ledger, *struck, *full.get(worker, ()), *anew]))
    return Presence(list(_merged(sorted(spans))))


def full(held: Mapping[int, list[Hold]], most: int) -> dict[str, list[Span]]:
    """By worker, when it held so many chunks."""
    steps: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for hold in chain.from_iterable(each for number, each in held.items() if number >= 0):
        steps[hold.worker] += [(hold.since, 1), (hold.until, -1)]
    return {worker: list(_at_least(most, sorted(each))) for worker, each in steps.items()}


def _at_least(most: int, steps: Iterable[tuple[float, int]]) -> Iterator[Span]:
    has, since = 0, inf
    for at, step in steps:
        has += step
        if has >= most:
            since = min(since, at)
        elif since < inf:
            yield since, at
            since = inf


def _left(start: float, cuts: Iterable[Span]) -> Iterator[Span]:
    """From `start` on, without these."""
    for a, b in cuts:
        if a > start:
            yield start, a
        start = max(start, b)
    if start < inf:
        yield start, inf


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    now: Span | None = None
    for a, b in spans:
        if now and a <= now[1]:
            now = (now[0], max(b, now[1]))
        else:
            if now:
                yield now
            now = (a, b)
    if now:
        yield now


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
    return _summed(times)


def taken_over(
    held: Mapping[int, list[Hold]],
    blows: Iterable[Blow],
    there: Presence = ALWAYS,
    with_room: Presence | None = None,
) -> dict[str, Times]:
    """By the kind of blow, until another had it: until it was taken back as long as somebody was there, and
    from then on as long as somebody could have taken it. Work that was done in spite of it needs nobody."""
    times = _none()
    for blow in blows:
        for hold in struck(held, blow):
            later = [other for other in held[hold.number] if other.since > hold.since]
            if later:
                back, taken = min(hold.until, later[0].since), later[0].since
                lay = there.seconds(blow.at, back) + (with_room or there).seconds(back, taken)
                times[blow.kind].seconds.append(lay)
    return _summed(times)


def _none() -> dict[str, Times]:
    return {kind: Times() for kind in (PROCESS, PROGRAM, HOST, STOP)}


def _summed(times: dict[str, Times]) -> dict[str, Times]:
    return times | {TOGETHER: Times([second for each in times.values() for second in each.seconds])}
