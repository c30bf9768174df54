"""How much a provider takes, as settings and its answers tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rates:
    """What a provider takes at most; None where that is not known, or where there is no limit."""

    requests_per_second: float | None = None
    tokens_per_minute: float | None = None

    def or_else(self, other: Rates) -> Rates:
        """These rates, and the other's where these are None."""
        return Rates(
            other.requests_per_second if self.requests_per_second is None else self.requests_per_second,
            other.tokens_per_minute if self.tokens_per_minute is None else self.tokens_per_minute,
        )
