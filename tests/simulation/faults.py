"""What goes wrong, how often, and what goes wrong with this call."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of a call."""

    FINE = "fine"
    SLOW = "slow"
    AWAY = "away"
    LOST = "lost"
    HANGS = "hangs"
    RATE_LIMITED = "rate limited"
    UNUSABLE = "unusable"
    REFUSED = "account refused"
    ODD = "odd"


SERVICE = (Fate.SLOW, Fate.AWAY, Fate.LOST)
"""Late; not done; done, and its caller hears of a time-out."""
STORE = (*SERVICE, Fate.HANGS)
PROVIDER = (*STORE, Fate.RATE_LIMITED, Fate.UNUSABLE, Fate.REFUSED, Fate.ODD)

NEVER = 1e9
RARE = {Fate.REFUSED: 0.15, Fate.ODD: 0.2, Fate.HANGS: 0.3}
"""How much rarer than others these are: each costs a person's or a lease's time."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of calls that go wrong; steps of processes from one crash or stop to the next, on average."""

    ledger: float = 0.0
    files: float = 0.0
    store: float = 0.0
    provider: float = 0.0
    steps_to_crash: float = NEVER
    steps_to_stop: float = NEVER
    seconds_to_jump: float = NEVER
    seconds_to_wish: float = NEVER
    seconds_to_deploy: float = NEVER

    @staticmethod
    def drawn(chance: random.Random) -> Rates:
        def share() -> float:
            return chance.choice((0.0, 0.01, 0.05, 0.15))

        return Rates(
            ledger=share(),
            files=share(),
            store=share(),
            provider=share(),
            steps_to_crash=chance.choice((100, 300, 1_000, NEVER)),
            steps_to_stop=chance.choice((500, 2_000, NEVER)),
            seconds_to_jump=chance.choice((10, NEVER, NEVER)),
            seconds_to_wish=chance.choice((5, 20, NEVER)),
            seconds_to_deploy=chance.choice((10, NEVER, NEVER)),
        )


class Dice:
    """Throws for every call until it is `calm`."""

    def __init__(self, rates: Rates, chance: random.Random) -> None:
        self.rates = rates
        self.calm = False
        self.thrown = Counter[str]()
        self._chance = chance
        self._steps = {"crash": self._until(rates.steps_to_crash), "stop": self._until(rates.steps_to_stop)}

    def fate(self, share: float, fates: tuple[Fate, ...]) -> Fate:
        if self.calm or self._chance.random() >= share:
            return Fate.FINE
        fate = self._chance.choices(fates, [RARE.get(each, 1.0) for each in fates])[0]
        self.thrown[fate] += 1
        return fate

    def strikes(self, what: str) -> bool:
        """Does a process crash, or stop, at this step?"""
        if self.calm:
            return False
        self._steps[what] -= 1
        if self._steps[what] > 0:
            return False
        rate = self.rates.steps_to_crash if what == "crash" else self.rates.steps_to_stop
        self._steps[what] = self._until(rate)
        self.thrown[what] += 1
        return True

    def _until(self, mean: float) -> float:
        return self._chance.expovariate(1 / mean)
