"""The embedder `openai`: one HTTP request a batch, its vectors decoded straight into one array."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from rowvec.embedders.base import Embedder
from rowvec.embedders.openai import headers
from rowvec.embedders.openai.client import Client
from rowvec.embedders.openai.models import MAX_INPUTS
from rowvec.embedders.openai.options import Options
from rowvec.embedders.openai.refusals import refusal
from rowvec.embedders.openai.reply import read
from rowvec.embedders.openai.tokens import (
    Counter,
    Ratio,
    byte_counts,
    exact_counter,
    fault_of,
    high_counts,
)
from rowvec.errors import NotConfigured, RowvecError
from rowvec.rates import Rates
from rowvec.vectors import Embedding

WELL_SECONDS = 60.0
"""For so long an answer proves that the next one would come: nobody pays for a ping meanwhile."""

ILL_SECONDS = 10.0
"""For so long a ping that failed is not tried again, however often health is asked for."""


class _Wish(msgspec.Struct, omit_defaults=True):
    """Unless base64 is asked for, the answer comes in decimal digits, which take a hundred times as long."""

    model: str
    input: Sequence[str]
    encoding_format: str
    dimensions: int | None = None


class OpenAIEmbedder(Embedder):
    """OpenAI, or a server that speaks its language.

    `OPENAI_API_KEY`, `OPENAI_BASE_URL`, `OPENAI_MODEL`, `OPENAI_DIMENSIONS`, `OPENAI_REQUESTS_PER_SECOND`,
    `OPENAI_TOKENS_PER_MINUTE`; and for servers that are not OpenAI's `OPENAI_MAX_TOKENS` (8192, of one text),
    `OPENAI_REQUEST_TOKENS` (300000) and `OPENAI_PRICE` (dollars per million tokens).
    """

    in_flight = 16
    max_inputs = MAX_INPUTS
    tells_rates = True

    def __init__(self, options: Options) -> None:
        self.model = options.model
        self.dimension = options.dimension
        self.max_tokens = options.max_tokens
        self.max_request_tokens = max(options.max_request_tokens, options.max_tokens)
        self.price = options.price
        self.rates = options.rates
        self._options = options
        self._client = Client(f"{options.base_url}/embeddings", options.key)
        self._ratio = Ratio()
        self._tokenizer = _Tokenizer(options.tiktoken_folder)
        self._health = _Health()

    @classmethod
    def open(cls, settings: Mapping[str, str]) -> OpenAIEmbedder:
        return cls(Options.read(settings))

    async def embed(self, texts: Sequence[str]) -> Embedding:
        if not texts:
            return Embedding(np.empty((0, self.dimension), np.float32), 0)
        wish = _Wish(self.model, texts, "base64", self._options.send_dimensions)
        answer = await self._client.post(msgspec.json.encode(wish))
        if answer.status != 200:
            raise refusal(answer.status, answer.headers, answer.body, self._client.who, self._options.key)
        reply = read(answer.body, len(texts), self.dimension, self._client.who)
        tokens = self._learn(texts, reply.tokens)
        self._health.is_well()
        return Embedding(reply.vectors, tokens, self._told(answer.headers))

    def _learn(self, texts: Sequence[str], billed: int | None) -> int:
        if billed is None:
            return sum(self._ratio.estimate(texts))
        self._ratio.learn(sum(byte_counts(texts)), billed)
        return billed

    def _told(self, given: Mapping[str, str]) -> Rates:
        """The provider's rates, where none was set by hand; 20 requests a second are only lowered by them."""
        told = headers.rates(given)
        options = self._options
        requests = None
        if told.requests_per_second and options.rates.requests_per_second and not options.sets_requests:
            requests = min(told.requests_per_second, options.rates.requests_per_second)
        tokens = None if options.rates.tokens_per_minute else told.tokens_per_minute
        return Rates(requests, tokens)

    @property
    def counts_exactly(self) -> bool:  # type: ignore[override]
        return self._tokenizer.count is not None

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return (self._tokenizer.count or byte_counts)(texts)

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._ratio.estimate(texts)

    def likely_tokens(self, texts: Sequence[str]) -> list[int]:
        return (self._tokenizer.count or high_counts)(texts)

    def counting(self) -> str:
        fault = fault_of(self._options.tiktoken_folder)
        if fault and self._options.tiktoken_folder:
            raise NotConfigured(f"Tokens cannot be counted: {fault}")
        if fault:
            return f"estimated, rather too many ({fault}; docs/deployment.md says how to have them counted)"
        return f"counted with the table in {self._options.tiktoken_folder}"

    async def ping(self) -> None:
        """Costs one token a minute at most, and asks no more often than every ten seconds."""
        async with self._health.asking:
            if self._health.needs_no_asking():
                return
            try:
                await self.embed(["ping"])
            except RowvecError as error:
                self._health.is_ill(error)
                raise

    async def close(self) -> None:
        await self._client.close()


class _Tokenizer:
    """The exact counter, if there is one; looked for at first use."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._looked = False
        self._count: Counter | None = None
        self._looking = threading.Lock()

    @property
    def count(self) -> Counter | None:
        with self._looking:
            if not self._looked:
                self._count = exact_counter(self._folder)
                self._looked = True
            return self._count


class _Health:
    """What the last answer said of the next one."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self._error: RowvecError | None = None
        self._until = 0.0

    def is_well(self) -> None:
        self._error, self._until = None, _now() + WELL_SECONDS

    def is_ill(self, error: RowvecError) -> None:
        self._error, self._until = error, _now() + ILL_SECONDS

    def needs_no_asking(self) -> bool:
        """Whether it is known to be well. Raises what the last ping raised, where that is not long ago."""
        if _now() >= self._until:
            return False
        if self._error:
            raise type(self._error)(self._error.message)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
