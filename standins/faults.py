"""Which answers go wrong, and how."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence


class Faults:
    """`shares` says how often each kind strikes, from 0 to 1; `script` is what happens first, in order.

    In a script None stands for an answer that is well; `script` is what is left of it. A kind that is
    unknown raises ValueError.
    """

    def __init__(
        self, kinds: Collection[str], shares: Mapping[str, float], script: Sequence[str | None] = ()
    ) -> None:
        unknown = sorted({*shares, *(kind for kind in script if kind)} - set(kinds))
        if unknown:
            raise ValueError(f"unknown faults {', '.join(unknown)}; there are {', '.join(sorted(kinds))}")
        if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1:
            raise ValueError("shares of faults are 0 or more, and 1 at most together")
        self._shares = dict(shares)
        self.script = list(script)

    def draw(self, dice: random.Random) -> str | None:
        """What goes wrong with the next answer; None: nothing."""
        if self.script:
            return self.script.pop(0)
        if not self._shares:
            return None
        point = dice.random()
        for kind, share in self._shares.items():
            point -= share
            if point < 0:
                return kind
        return None
