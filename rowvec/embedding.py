"""Entries → vectors: packed requests, the common budget, and bisection of what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rowvec.describe import Entry
from rowvec.embedders.base import Embedder
from rowvec.errors import InputRefused, RateLimited
from rowvec.governor import Governor
from rowvec.lease import Lease
from rowvec.model import Embedding, Floats
from rowvec.retry import outlast

DEFAULT_PAUSE = 5.0


@dataclass(slots=True)
class Embedded:
    """`vectors` has shape (texts, dimension); rows of refused texts hold nothing.

    `refused` maps an entry's place to the provider's reason.
    """

    vectors: Floats
    owners: list[int]
    tokens: int = 0
    refused: dict[int, str] = field(default_factory=dict)


async def embed(embedder: Embedder, governor: Governor, entries: Sequence[Entry], lease: Lease) -> Embedded:
    """Embed every passage, requests side by side. Raises RetryLater, PauseNeeded, TaskFailed."""
    texts = [text for entry in entries for text in entry.passages]
    owners = [place for place, entry in enumerate(entries) for _ in entry.passages]
    out = Embedded(np.empty((len(texts), embedder.dimension), np.float32), owners)
    job = _Job(embedder, governor, texts, out, lease)
    try:
        async with asyncio.TaskGroup() as group:
            for low, high in _requests(embedder, texts):
                group.create_task(job.run(low, high))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return out


@dataclass(frozen=True, slots=True)
class _Job:
    embedder: Embedder
    governor: Governor
    texts: Sequence[str]
    out: Embedded
    lease: Lease

    async def run(self, low: int, high: int) -> None:
        texts = self.texts[low:high]
        try:
            embedding = await outlast(self.lease, lambda: self._call(texts))
        except InputRefused as error:
            if high - low == 1:
                self.out.refused[self.out.owners[low]] = error.message
                return
            middle = (low + high) // 2
            await self.run(low, middle)
            await self.run(middle, high)
        else:
            self.out.vectors[low:high] = embedding.vectors
            self.out.tokens += embedding.tokens

    async def _call(self, texts: Sequence[str]) -> Embedding:
        """One request. A 429 makes everyone wait and the same batch is sent again."""
        budget = sum(map(_weight, texts))
        while True:
            await self.governor.admit(budget)
            try:
                return await self.embedder.embed(texts)
            except RateLimited as error:
                self.governor.pause(error.retry_after or DEFAULT_PAUSE)


def _requests(embedder: Embedder, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Ranges of texts that fit one request each."""
    low, weight = 0, 0
    for i, text in enumerate(texts):
        more = _weight(text)
        if i > low and (i - low >= embedder.max_inputs or weight + more > embedder.max_request_tokens):
            yield low, i
            low, weight = i, 0
        weight += more
    if low < len(texts):
        yield low, len(texts)


def _weight(text: str) -> int:
    """An upper bound of a text's tokens without a tokenizer: its bytes in UTF-8, and two marks."""
    return len(text) * (1 if text.isascii() else 4) + 2
