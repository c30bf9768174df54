"""What one worker has done and not only told to others, as it tells it with its beats."""

from __future__ import annotations

import psutil

from rowvec.machine import Machine
from rowvec.model import Claim, Counts
from rowvec.tally import ROWS, Tally


class Telling:
    """Counts what became of claims, and what the process has spent meanwhile.

    What was told under one name stays with it: a worker that was believed dead begins its next name with what
    it had not told yet.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._process = psutil.Process()
        self._done = Tally()
        self._begun = self._before = self._spent()
        self._last = Tally()
        self.taken_back = 0
        """Pieces of work that it took back from the dead. The ledger counts them by itself."""

    def committed(self, counts: Counts, seconds: float) -> None:
        rows = {name: count for name, count in counts.as_dict().items() if name in ROWS and count}
        self._done += Tally(rows, {"done": 1}, seconds)

    def retried(self, claim: Claim) -> None:
        if claim.chunk:
            self._done += Tally(chunks={"retried": 1})

    def given_up(self, claim: Claim) -> None:
        if claim.chunk:
            self._done += Tally({"failed": claim.chunk.plan.rows}, {"failed": 1})

    def whole(self) -> Tally:
        """All that was done since the process began, under whatever name."""
        return self._done + self._spent() - self._begun

    def told(self) -> Tally:
        """All that was done under the present name; counts as told from now on."""
        self._last = self._done + self._spent() - self._before
        return self._last

    def under_a_new_name(self) -> None:
        self._before += self._last
        self._last = Tally()

    def memory(self) -> int:
        """Bytes that this process holds."""
        return int(self._process.memory_info().rss)

    def _spent(self) -> Tally:
        governor = self._machine.governor
        requests, tokens = governor.spent
        dollars = tokens * self._machine.embedder.price / 1e6
        return Tally(requests=requests, rate_limited=governor.rate_limited, tokens=tokens, dollars=dollars)
