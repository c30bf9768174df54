"""What was asked, answered and billed. Eight bytes a billed text are all that is remembered of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from standins.openai.vectors import digest

KEPT_BYTES = 8


class Till:
    """Counts; what each text was billed is worked out only when somebody asks."""

    def __init__(self) -> None:
        self.requests = 0
        self.answered: Counter[int] = Counter()
        self.rate_refusals = 0
        self.billing_refusals = 0
        self.faults: Counter[str] = Counter()
        self.requests_billed = 0
        self.tokens_billed = 0
        self._billed = bytearray()
        self._lost = bytearray()

    def bill(self, hashes: Iterable[bytes], tokens: int) -> None:
        self.requests_billed += 1
        self.tokens_billed += tokens
        self._billed += b"".join([hashed[:KEPT_BYTES] for hashed in hashes])

    def lose(self, hashes: Iterable[bytes]) -> None:
        """These were billed, and their answer never comes whole."""
        self._lost += b"".join([hashed[:KEPT_BYTES] for hashed in hashes])

    def times(self, texts: Sequence[str]) -> list[int]:
        """How often each of these texts was billed."""
        return _times(self._billed, texts)

    def times_lost(self, texts: Sequence[str]) -> list[int]:
        """How often the answer to each of these texts was billed and lost."""
        return _times(self._lost, texts)

    def counted(self) -> dict[str, object]:
        """`texts_paid_twice` is how many of the billed texts had been billed before; `billed_times` how many
        texts were billed once, twice and so on."""
        counts = np.unique(_kept(self._billed), return_counts=True)[1]
        often, texts = np.unique(counts, return_counts=True)
        billed = len(self._billed) // KEPT_BYTES
        return {
            "requests": self.requests,
            "answered": {str(status): count for status, count in sorted(self.answered.items())},
            "answered_429": self.answered[429],
            "rate_refusals": self.rate_refusals,
            "billing_refusals": self.billing_refusals,
            "faults": dict(self.faults),
            "requests_billed": self.requests_billed,
            "tokens_billed": self.tokens_billed,
            "texts_billed": billed,
            "texts_distinct": int(counts.size),
            "texts_paid_twice": billed - int(counts.size),
            "billed_times": {str(n): int(k) for n, k in zip(often.tolist(), texts.tolist(), strict=True)},
        }


def _times(kept: bytearray, texts: Sequence[str]) -> list[int]:
    wanted = np.frombuffer(b"".join(digest(text.encode())[:KEPT_BYTES] for text in texts), np.uint64)
    seen, counts = np.unique(_kept(kept), return_counts=True)
    if not seen.size:
        return [0] * len(texts)
    places = np.minimum(np.searchsorted(seen, wanted), seen.size - 1)
    found: list[int] = np.where(seen[places] == wanted, counts[places], 0).tolist()
    return found


def _kept(hashes: bytearray) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.frombuffer(bytes(hashes), np.uint64)
