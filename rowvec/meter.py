"""How much has been sent: in the last minute, and in all."""

from __future__ import annotations

from collections import deque

from rowvec.usage import WINDOW_SECONDS


class Meter:
    """Sums by the second, as many as the window has. `spent` are the requests and tokens of all time."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int, int]] = deque()
        self.spent = (0, 0)

    def add(self, now: float, requests: int, tokens: int) -> None:
        self.spent = (self.spent[0] + requests, self.spent[1] + tokens)
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            _, before, spent = self._seconds.pop()
            requests, tokens = requests + before, tokens + spent
        self._seconds.append((second, requests, tokens))
        self._forget(now)

    def sums(self, now: float) -> tuple[int, int]:
        """Requests and tokens of the window that ends now."""
        self._forget(now)
        return sum(entry[1] for entry in self._seconds), sum(entry[2] for entry in self._seconds)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW_SECONDS:
            self._seconds.popleft()
