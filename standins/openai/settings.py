"""How the stand-in behaves; every name can be set at its start and while it runs."""

from __future__ import annotations

import msgspec

from standins.faults import Faults
from standins.latency import Latency

FAULTS = frozenset(
    {
        "error-500", "error-503", "hang", "vanish",  # nothing is billed
        "billed-vanish", "billed-hang", "cut",  # the work is done and billed, and the answer is lost
        "no-json", "short-count", "wrong-index", "wrong-dimension", "nan", "zero",  # an answer that is none
    }
)  # fmt: skip
LOSING = frozenset({"billed-vanish", "billed-hang", "cut", "no-json"})
"""Faults after which the caller has nothing of what is billed."""
SPOILS = frozenset({"wrong-dimension", "nan", "zero"})

BILLING = frozenset(
    {
        "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
    }
)  # fmt: skip


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`key` is the only one that is accepted (None: any). Rates: None is no limit; the buckets hold
    `requests_hold` and `tokens_hold` seconds of them.

    `faults` are shares by kind, `script` the kinds that strike first. A text that holds `marker` is refused,
    without saying which one; one that holds a key of `spoilt` gets a vector that is wrong in that way, each
    time and it alone. `billing` refuses everything as that kind does, as does `insufficient_quota`
    once `credit_tokens` are billed. `shows_limits` is whether answers have the x-ratelimit headers.
    """

    key: str | None = None
    latency: Latency = Latency()
    requests_per_second: float | None = None
    tokens_per_minute: float | None = None
    requests_hold: float = 1.0
    tokens_hold: float = 4.0
    faults: dict[str, float] = {}
    script: list[str | None] = []
    marker: str | None = None
    spoilt: dict[str, str] = {}
    billing: str | None = None
    credit_tokens: int | None = None
    shows_limits: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        Faults(FAULTS, self.faults, self.script)
        if self.billing is not None and self.billing not in BILLING:
            raise ValueError(f"billing is one of {', '.join(sorted(BILLING))}")
        if not SPOILS.issuperset(self.spoilt.values()):
            raise ValueError(f"spoilt are texts by one of {', '.join(sorted(SPOILS))}")
        for rate in (self.requests_per_second, self.tokens_per_minute):
            if rate is not None and rate <= 0:
                raise ValueError("a rate is more than 0, or null for no limit")
