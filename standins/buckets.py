"""Token buckets as a provider keeps them."""

from __future__ import annotations

import math


class Bucket:
    """`rate` units a second come in, and `holds` seconds' worth stay. Full at first. No rate: no limit."""

    def __init__(self, rate: float | None, holds: float) -> None:
        self.rate = rate or math.inf
        self.size = self.rate * holds
        self._full_at = -math.inf

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much could be taken: 0.0 for at once, infinity for more than the bucket holds."""
        if amount > self.size:
            return math.inf
        lacking = amount - self.left(now)
        return max(0.0, lacking / self.rate)

    def take(self, amount: float, now: float) -> None:
        """Take it; the caller has asked `wait` before."""
        self._full_at = max(self._full_at, now) + amount / self.rate

    def left(self, now: float) -> float:
        if math.isinf(self.rate):
            return math.inf
        return self.size - self.full_in(now) * self.rate

    def full_in(self, now: float) -> float:
        """Seconds until it is full again."""
        return max(0.0, self._full_at - now)


def wait_for_all(demands: list[tuple[Bucket, float]], now: float) -> tuple[float, Bucket | None]:
    """Take every amount from its bucket, or nothing from any.

    The seconds to wait, 0.0 when all was taken, and the bucket that made the answer no.
    """
    waits = [bucket.wait(amount, now) for bucket, amount in demands]
    longest = max(waits, default=0.0)
    if longest > 0.0:
        return longest, demands[waits.index(longest)][0]
    for bucket, amount in demands:
        bucket.take(amount, now)
    return 0.0, None
