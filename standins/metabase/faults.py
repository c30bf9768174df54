"""What the next requests are to suffer."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

Place = Literal["export", "card", "session", "any"]
Kind = Literal["status", "truncate", "close", "error_inside", "error_instead", "no_end", "slow"]


@dataclass
class Fault:
    """`times` requests at a place are hit, all of them when it is None.

    status: answer with `status` and `body`, and `retry_after` seconds where given.
    truncate: end the reply early but cleanly, as Metabase's own time-out does: after `after` bytes of what
    is sent, without the end of the gzip stream.
    close: hang up after `after` bytes.
    error_inside: after `after` bytes of the table, JSON follows that says what failed.
    error_instead: that JSON under a 200, and no table.
    no_end: a whole reply that does not say where it ends, as an old proxy gives it.
    slow: `seconds` pass before the answer, or, where `after` is given, after so many bytes of it.
    """

    kind: Kind
    on: Place = "export"
    times: int | None = 1
    status: int = 500
    body: str = ""
    retry_after: float | None = None
    after: int = 0
    seconds: float = 0.0
    message: str = "Query exceeded the time limit."

    @classmethod
    def of(cls, given: dict[str, Any]) -> Fault:
        """Raises ValueError for a field that there is not."""
        unknown = set(given) - {field.name for field in fields(cls)}
        if unknown or "kind" not in given:
            raise ValueError(f"a fault needs a kind, and has no {sorted(unknown)}")
        return cls(**given)


class Faults:
    """Faults in the order in which they were asked for; each hits until it is used up."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    def next(self, place: Place) -> Fault | None:
        for fault in self._waiting:
            if fault.on in (place, "any"):
                self._use(fault)
                return fault
        return None

    def _use(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._waiting.remove(fault)
