"""What a worker uses, as it tells with its beat: any process reads it, with Redis or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rowvec.tally import Tally

WINDOW_SECONDS = 60
"""The time over which requests and tokens are counted."""


@dataclass(frozen=True, slots=True)
class Usage:
    """`pieces` counts pieces of work in hand by task. `requests` and `tokens` went to the embedder within
    the last WINDOW_SECONDS, `queued` requests wait for their turn, `quiet` are the seconds left of the pause
    after a 429. The two rates are those it is paced by; None where there is no limit, or none is known.
    `memory` are the bytes that its process holds, `tally` what it has done since it enlisted."""

    pieces: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    tokens: int = 0
    queued: int = 0
    quiet: float = 0.0
    requests_per_second: float | None = None
    tokens_per_minute: float | None = None
    memory: int = 0
    tally: Tally = field(default_factory=Tally)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(told: Mapping[str, Any]) -> Usage:
        """Of what `as_dict` gave, by this version or another one."""
        known = {f.name: told[f.name] for f in fields(Usage) if f.name in told}
        return Usage(**known | {"tally": Tally.of(told.get("tally", {}))})
