"""How long a provider takes to answer."""

from __future__ import annotations

import math
import random

import msgspec


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lognormal seconds with this mean; `sigma` is the deviation of their logarithm (0: always the mean)."""

    mean: float = 0.0
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.mean < math.inf and 0 <= self.sigma < 5):
            raise ValueError("latency needs a mean of 0 or more and a sigma from 0 to 5")

    def draw(self, dice: random.Random) -> float:
        """Seconds of one answer."""
        if self.mean == 0.0:
            return 0.0
        return dice.lognormvariate(math.log(self.mean) - self.sigma**2 / 2, self.sigma)
