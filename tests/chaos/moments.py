"""When to kill: half of the moments at random, half aimed at what the worker is doing.

A random moment is a random time after a random mark, not after the start: so that as much gets done in
between on a slow machine as on a fast one.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

from tests.chaos import marks
from tests.chaos.marks import Mark

RANDOM = "at random"
PLANNING, EMBEDDING, STORING, COMMITTING, SETTLING = (
    "planning",
    "embedding",
    "storing",
    "committing",
    "settling",
)
PHASES = (PLANNING, EMBEDDING, STORING, COMMITTING, SETTLING)

ANY = "any mark"
MARKS_OF_A_CHUNK = 6
TARGETS = {
    PLANNING: (marks.PLAN, marks.APPEND),
    EMBEDDING: (marks.EMBED,),
    STORING: (marks.STORE, marks.STORED),
    COMMITTING: (marks.COMMIT, marks.COMMITTED),
}
REACTION = 0.020
"""Seconds after the aimed mark within which the kill comes, so that it falls into the call or just after."""
SETTLING_LASTS = 0.200
"""Seconds over which the kills of settling are spread."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Kill `delay` seconds after the `nth` mark `target` of a life, or at the first of `at_latest`."""

    phase: str
    target: str
    nth: int
    delay: float
    at_latest: tuple[str, ...] = ()

    def has_come(self, seen: Collection[Mark]) -> bool:
        """`seen` are the marks of this life so far."""
        return sum(self.target in (mark.what, ANY) for mark in seen) >= self.nth

    def hit(self, seen: Collection[Mark]) -> str:
        """The phase it came in: planning may be over, and settling begun, before an aim is met."""
        whats = {mark.what for mark in seen}
        if self.phase == PLANNING and marks.PLAN not in whats:
            return EMBEDDING
        return SETTLING if self.phase in TARGETS and marks.SETTLE in whats else self.phase

    def is_over(self, seen: Collection[Mark]) -> bool:
        """It is too late to wait for more."""
        return any(mark.what in self.at_latest for mark in seen)


def phases(kills: int, chance: random.Random) -> list[str]:
    """What each kill is aimed at, in order: planning can be hit at the start only, settling at the end."""
    aimed = [PHASES[place % len(PHASES)] for place in range(max(kills - kills // 2, min(kills, len(PHASES))))]
    middle = [phase for phase in aimed if phase not in (PLANNING, SETTLING)]
    middle += [RANDOM] * (kills - len(aimed))
    chance.shuffle(middle)
    return [PLANNING] * aimed.count(PLANNING) + middle + [SETTLING] * aimed.count(SETTLING)


def moment(phase: str, room: float, pace: float, last: bool, chance: random.Random) -> Moment:
    """A moment of that phase. `room`: how many chunks this life may finish and leave enough for the rest.

    Only the `last` kill may let the task end: it falls around the very write that completes it.
    """
    if last and phase == SETTLING:
        return Moment(phase, marks.ENDING, 1, pace + chance.uniform(-REACTION, REACTION))
    if phase == SETTLING:
        return Moment(phase, marks.SETTLE, 1, chance.uniform(0, SETTLING_LASTS), (marks.ENDING,))
    if phase == RANDOM:
        progress = chance.uniform(0, 2 * room * MARKS_OF_A_CHUNK)
        return Moment(phase, ANY, 1 + int(progress), chance.uniform(0, pace), (marks.ENDING,))
    target, delay = chance.choice(TARGETS[phase]), chance.uniform(0, REACTION)
    if phase == PLANNING:
        return Moment(phase, target, 1, delay, (marks.PLANNED, marks.EMBED))
    return Moment(phase, target, chance.randint(1, max(1, int(room))), delay, (marks.ENDING,))
