"""Entries → vectors: packed requests, the common budget, and bisection of what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from rowvec.describe import Entry
from rowvec.embedders.base import Embedder
from rowvec.errors import (
    InputRefused,
    OtherDimension,
    RateLimited,
    RequestTooLarge,
    TaskFailed,
    Unavailable,
    Unusable,
)
from rowvec.filestores.base import FileStore
from rowvec.flight import Flight
from rowvec.gates import EMBEDDER
from rowvec.governor import Governor
from rowvec.kept import Kept
from rowvec.lease import Lease
from rowvec.paid import Paid, pick_up
from rowvec.purse import Purse
from rowvec.retry import outlast
from rowvec.vectors import Embedding, Floats

FIRST_PART = 0.4
"""Of texts of which one is refused, the share that is asked first. The other part need not be asked as a
whole when the first is taken: so cut, one in 2,048 is found with 17 requests at most, by halves with 22."""

TRIES_TOGETHER = 2
"""So often texts are asked for whose answers are unusable, before the one at fault is looked for, and"""
TRIES_ALONE = 4
"""so often that one, before its row is rejected. Each is paid, and bad luck must not look like a bad text."""
ANY_TEXT = "ping"
"""What gets its vector wherever anything does: as long as it gets none, no text is to blame."""


@dataclass(slots=True)
class Embedded:
    """`vectors` has shape (texts, dimension); rows of refused texts hold nothing.

    `refused` maps an entry's place to the provider's reason.
    """

    vectors: Floats
    owners: list[int]
    tokens: int = 0
    refused: dict[int, str] = field(default_factory=dict)


async def embed(
    embedder: Embedder,
    governor: Governor,
    entries: Sequence[Entry],
    lease: Lease,
    kept: Kept[Job],
    files: FileStore,
) -> Embedded:
    """Embed every passage, requests side by side; what `kept` holds of an earlier attempt, or one has put
    down in `files`, is not asked again.

    Raises RetryLater, PauseNeeded, TaskFailed.
    """
    texts = [text for entry in entries for text in entry.passages]
    job = kept.find(lease.claim, texts)
    if job is None:
        owners = [place for place, entry in enumerate(entries) for _ in entry.passages]
        job = Job(embedder, governor, texts, owners)
        job.recall(await outlast(lease, lambda: pick_up(files, lease.claim)))
    kept.put(lease.claim, job)
    await job.finish(lease)
    return job.out


class Job:
    """The texts of one chunk on their way, over as many attempts as it takes."""

    def __init__(
        self, embedder: Embedder, governor: Governor, texts: Sequence[str], owners: list[int]
    ) -> None:
        self.texts = texts
        self.out = Embedded(np.empty((len(texts), embedder.dimension), np.float32), owners)
        self.busy = False
        self._done = np.zeros(len(texts), np.bool_)
        self._embedder = embedder
        self._governor = governor
        self._flight = Flight()

    @property
    def nbytes(self) -> int:
        return self.out.vectors.nbytes

    async def finish(self, lease: Lease) -> None:
        """Ask for all that is not there yet. Raises the first error that is no refusal of a text."""
        self.busy = True
        try:
            await self.answers()
            await self._flight.all([_Request(self, lease).run(low, high) for low, high in self._requests()])
        finally:
            self.busy = False

    async def answers(self) -> None:
        """Wait for all that is under way."""
        await self._flight.answers()

    def paid(self) -> Paid:
        """All that has been answered so far."""
        return Paid(
            digest=self._digest(),
            done=np.packbits(self._done).tobytes(),
            vectors=self.out.vectors[self._done].astype("<f4", copy=False).tobytes(),
            tokens=self.out.tokens,
            refused=self.out.refused,
        )

    def recall(self, paid: Paid | None) -> None:
        """Begin with what has been answered before, if it is for these very texts."""
        if paid is None or paid.digest != self._digest():
            return
        done = np.unpackbits(np.frombuffer(paid.done, np.uint8), count=len(self.texts)).astype(np.bool_)
        self.out.vectors[done] = np.frombuffer(paid.vectors, "<f4").reshape(-1, self._embedder.dimension)
        self.out.tokens = paid.tokens
        self.out.refused.update(paid.refused)
        self._done = done

    def _digest(self) -> bytes:
        """Of the texts, each with its length, and of what embeds them."""
        embedder = self._embedder
        digest = blake2b(f"{embedder.model} {embedder.dimension}".encode(), digest_size=16)
        for text in self.texts:
            encoded = text.encode()
            digest.update(b"%d:" % len(encoded) + encoded)
        return digest.digest()

    def take(self, low: int, high: int, embedding: Embedding) -> None:
        if embedding.vectors.shape == self.out.vectors.shape:
            self.out.vectors = embedding.vectors
        else:
            self.out.vectors[low:high] = embedding.vectors
        self.out.tokens += embedding.tokens
        self._done[low:high] = True

    def refuse(self, place: int, reason: str) -> None:
        self.out.refused[self.out.owners[place]] = reason
        self._done[place] = True

    async def check_embedder(self, lease: Lease) -> None:
        """Raises Unusable as long as not even another text gets its vector, TaskFailed where it gets one of
        another dimension, too."""
        try:
            self.out.tokens += (await self.ask([ANY_TEXT], lease)).tokens
        except OtherDimension as error:
            raise TaskFailed(error.message) from error

    async def ask(self, texts: Sequence[str], lease: Lease) -> Embedding:
        """One request. A 429 makes everyone wait, and the same batch is sent again.

        Raises LeaseLost where the work is put off meanwhile.
        """
        budget = sum(self._embedder.estimate_tokens(texts))
        purse = await Purse.of(lease.ledger, lease.claim.task)
        most = 0 if purse.is_open else sum(self._embedder.count_tokens(texts))
        while True:
            try:
                with self._flight.request() as sent:
                    async with (
                        self._governor.turn(budget, lease.refusals) as turn,
                        purse.taken(most) as taken,
                        _within(lease.heartbeat.left()),
                    ):
                        # Within the turn, which may have been waited for: nobody in the line calls either.
                        await lease.gates.check(lease.ledger, EMBEDDER)
                        sent()
                        embedding = await self._embedder.embed(texts)
                        taken.spent = embedding.tokens
                        await turn.settle(embedding.tokens, embedding.rates)
                        return embedding
            except RateLimited:
                if lease.heartbeat.is_ending():
                    raise

    def _requests(self) -> Iterator[tuple[int, int]]:
        """Ranges of texts that are not there yet and fit one request each."""
        weights = self._embedder.estimate_tokens(self.texts)
        most_inputs = self._embedder.max_inputs
        most = min(self._embedder.max_request_tokens, self._governor.request_tokens() or 1 << 62)
        low, weight = 0, 0
        for i, (more, done) in enumerate(zip(weights, self._done.tolist(), strict=True)):
            if i > low and (done or i - low >= most_inputs or weight + more > most):
                yield low, i
                low, weight = i, 0
            if done:
                low = i + 1
            else:
                weight += more
        if low < len(weights):
            yield low, len(weights)


@dataclass(frozen=True, slots=True)
class _Request:
    """A range of a job's texts, asked, and divided where something in it is refused."""

    job: Job
    lease: Lease

    async def run(self, low: int, high: int, tries: int = TRIES_TOGETHER) -> bool:
        """Ask for these texts. True when all of them were taken at once."""
        asking = _Asking(self, self.job.texts[low:high], TRIES_ALONE if high - low == 1 else tries)
        try:
            embedding = await outlast(self.lease, asking.ask)
        except InputRefused as error:
            if high - low == 1:
                self.job.refuse(low, error.message)
            elif isinstance(error, RequestTooLarge):
                await self.run(low, (low + high) // 2)
                await self.run((low + high) // 2, high)
            else:
                await self._narrow(low, high)
            return False
        self.job.take(low, high, embedding)
        return True

    async def _narrow(self, low: int, high: int) -> None:
        """At least one of these texts is refused; each that is gets its reason from a request of its own."""
        if high - low == 1:
            await self.run(low, high)
            return
        cut = low + max(1, round((high - low) * FIRST_PART))
        if await self.run(low, cut, tries=1):
            await self._narrow(cut, high)
        else:
            await self.run(cut, high, tries=1)


@dataclass(slots=True)
class _Asking:
    """Some texts, asked for until an answer can be used, or it is known that none will be."""

    request: _Request
    texts: Sequence[str]
    tries: int
    failed: int = 0

    async def ask(self) -> Embedding:
        """Raises Unusable while another try is worth it, then InputRefused; all else as `Job.ask`."""
        job, lease = self.request.job, self.request.lease
        try:
            return await job.ask(self.texts, lease)
        except Unusable as error:
            self.failed += 1
            if self.failed < self.tries:
                raise
            if len(self.texts) == 1 or isinstance(error, OtherDimension):
                await job.check_embedder(lease)
            raise InputRefused(
                f"Asked {self.failed} times, no answer could be used, though that for another text could: "
                f"{error.message}"
            ) from error


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Raises Unavailable when the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(
            f"The embedder has not answered within {seconds:.0f} s, all that is left of the lease."
        ) from error
