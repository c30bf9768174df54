"""Shall I try again, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rowvec.errors import RetryLater


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a chunk is tried, and how long it rests in between.

    Waits double from `base` to `cap` seconds, with full jitter so that chunks do not return in step.
    """

    max_attempts: int = 8
    base: float = 1.0
    cap: float = 120.0

    def wait(self, attempts: int, error: BaseException, jitter: float | None = None) -> float | None:
        """Seconds to wait after `attempts` failed attempts (this one included), None to give up.

        Weather (RetryLater) is waited out for as long as it lasts; any other error uses up attempts.
        """
        if isinstance(error, RetryLater):
            if error.retry_after is not None:
                return error.retry_after
        elif attempts >= self.max_attempts:
            return None
        spread = random.random() if jitter is None else jitter  # noqa: S311 - no secret depends on it
        return float(min(self.cap, self.base * 2 ** min(attempts, 10))) * (0.5 + spread / 2)
