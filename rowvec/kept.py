"""What was paid for and has not landed: a chunk that this process tries again does not pay for it again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from rowvec.model import Claim

MOST_BYTES = 128 * 1024 * 1024


class Held(Protocol):
    """Vectors of these texts, as far as there are any. `busy` while somebody works on them."""

    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def busy(self) -> bool: ...


J = TypeVar("J", bound=Held)


class Kept(Generic[J]):
    """Jobs by chunk, the oldest forgotten when they are too many bytes together."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._jobs: OrderedDict[tuple[str, int], tuple[Claim, J]] = OrderedDict()

    def find(self, claim: Claim, texts: Sequence[str]) -> J | None:
        """The job of an earlier attempt at this chunk with these very texts."""
        job = self.of(claim)
        return job if job and not job.busy and job.texts == texts else None

    def of(self, claim: Claim) -> J | None:
        """All that is kept of this chunk."""
        return self._jobs[_key(claim)][1] if claim.chunk and _key(claim) in self._jobs else None

    def claims(self) -> list[Claim]:
        """Of all chunks of which something is kept, the last that put it there."""
        return [claim for claim, _ in self._jobs.values()]

    def put(self, claim: Claim, job: J) -> None:
        """Keep a chunk's job until it is dropped."""
        if claim.chunk is None:
            return
        self._jobs[_key(claim)] = (claim, job)
        self._jobs.move_to_end(_key(claim))
        while sum(held.nbytes for _, held in self._jobs.values()) > self._most_bytes:
            self._jobs.popitem(last=False)

    def drop(self, claim: Claim) -> None:
        """It has landed, or is another's."""
        if claim.chunk:
            self._jobs.pop(_key(claim), None)


def _key(claim: Claim) -> tuple[str, int]:
    return claim.task.id, claim.chunk.plan.number if claim.chunk else -1
