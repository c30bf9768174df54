"""What work came to, in sums that only grow: each worker tells its own with its beats, and the ledger keeps
those of workers that have left, so that the sum over all never falls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

ROWS = ("upserted", "unchanged", "filtered", "duplicate", "rejected", "failed")
"""What becomes of rows; `failed` are those of chunks that were given up."""

CHUNKS = ("done", "retried", "failed", "taken_back")
"""What becomes of a claimed chunk; `retried` was handed back with an error, `taken_back` from the dead."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows and chunks by outcome, seconds from claim to commit over all done chunks, and what the embedder
    was asked: requests that were answered, requests that it put off, tokens, and dollars at its price."""

    rows: Mapping[str, int] = field(default_factory=dict)
    chunks: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    requests: int = 0
    rate_limited: int = 0
    tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return self._with(other, 1)

    def __sub__(self, other: Tally) -> Tally:
        return self._with(other, -1)

    def _with(self, other: Tally, sign: int) -> Tally:
        return Tally(
            _summed(self.rows, other.rows, sign),
            _summed(self.chunks, other.chunks, sign),
            self.seconds + sign * other.seconds,
            self.requests + sign * other.requests,
            self.rate_limited + sign * other.rate_limited,
            self.tokens + sign * other.tokens,
            self.dollars + sign * other.dollars,
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(told: Mapping[str, Any]) -> Tally:
        """Of what `as_dict` gave, by this version or another one."""
        return Tally(**{f.name: told[f.name] for f in fields(Tally) if f.name in told})


def _summed(one: Mapping[str, int], other: Mapping[str, int], sign: int) -> dict[str, int]:
    sums = Counter(one)
    for name, count in other.items():
        sums[name] += sign * count
    return {name: count for name, count in sums.items() if count}
