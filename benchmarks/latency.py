"""Answer times of a kept connection at a steady rate, and their exact percentiles."""

from __future__ import annotations

import http.client
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SHARES = (*range(0, 96, 5), 96, 97, 98, 98.5, 99, 99.25, 99.5, 99.75, 99.9, 100)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds. `curve` holds pairs of a percentage and the time within which that share was answered."""

    samples: int
    p50: float
    p99: float
    worst: float
    curve: list[tuple[float, float]]

    @property
    def p95(self) -> float:
        return dict(self.curve)[95.0]

    @staticmethod
    def of(samples: Sequence[float]) -> Latency:
        """Raises ValueError where there are none."""
        curve = [(float(share), percentile(samples, share)) for share in _SHARES]
        return Latency(len(samples), percentile(samples, 50), percentile(samples, 99), max(samples), curve)

    def tail(self) -> list[tuple[float, float]]:
        """Pairs of milliseconds and the percentage of the answers that took longer."""
        return [(milliseconds, 100 - share) for share, milliseconds in self.curve if share < 100]


def percentile(samples: Sequence[float], percent: float) -> float:
    """The least sample that `percent` of them do not exceed (nearest rank); nothing is interpolated."""
    if not samples:
        raise ValueError("there are no samples")
    rank = math.ceil(percent / 100 * len(samples))
    return sorted(samples)[max(rank, 1) - 1]


class Caller:
    """One caller with a key on one kept connection."""

    def __init__(self, port: int, key: str, patience: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
        self._headers = {"X-API-Key": key}

    def get(self, path: str) -> bytes:
        """The body of the answer. Raises RuntimeError for any status but 200."""
        return self._ask("GET", path, None, self._headers)

    def post(self, path: str, body: bytes = b"{}") -> bytes:
        return self._ask("POST", path, body, self._headers | {"Content-Type": "application/json"})

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 202):
            raise RuntimeError(f"{method} {path} answered {answer.status}: {content[:500]!r}")
        return content


class Rounds:
    """Turns at a fixed rate. An answer that comes so late that it delays the next turn delays that turn's
    clock, too: what waits behind a slow answer counts as slow."""

    def __init__(self, a_second: float) -> None:
        self._pause = 1 / a_second
        self._due = time.perf_counter()

    def next(self) -> float:
        """Wait for the next turn. The moment it began, or was to begin if the caller was busy then."""
        self._due += self._pause
        wait = self._due - time.perf_counter()
        if wait <= 0:
            return self._due
        time.sleep(wait)
        return time.perf_counter()
