"""What turns text into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from rowvec.rates import Rates
from rowvec.vectors import Embedding


class Embedder(ABC):
    """Embeds clean, non-empty texts. Same text, same model: same vector, up to rounding.

    `max_tokens` is the longest text, `max_inputs` and `max_request_tokens` the largest request.
    `price` is in dollars per million tokens. `in_flight` is how many chunks are worth having under way for
    its sake: where it computes in this process another is read or stored meanwhile, a network hides more.
    `rates` are what the account is held to from the start;
    `tells_rates` says that answers may bring others (`Embedding.rates`). `counts_exactly` says that
    `count_tokens` gives what is paid for, so that an estimate of the costs need not guess.
    """

    model: str
    dimension: int
    max_tokens: int
    max_inputs: int
    max_request_tokens: int
    price: float = 0.0
    in_flight: int = 2
    rates: Rates = Rates()
    tells_rates: bool = False
    counts_exactly: bool = True

    @classmethod
    @abstractmethod
    def open(cls, settings: Mapping[str, str]) -> Embedder:
        """An embedder configured from the settings; cheap, loads no model and calls nobody.

        Raises NotConfigured when a setting is missing or wrong.
        """

    @abstractmethod
    async def embed(self, texts: Sequence[str]) -> Embedding:
        """A vector for each text, finite and not all zero, and the tokens that were spent on them all.

        At most `max_inputs` texts. Raises InputRefused when one of them is refused (the caller
        bisects), RetryLater (Unusable where what came are no vectors: asked a few times more, then bisected),
        PauseNeeded, or TaskFailed. All or nothing: never fewer vectors.
        """

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, exact or a safe over-estimate; never more than its UTF-8 bytes + 2."""

    def estimate_tokens(self, texts: Sequence[str]) -> list[int]:
        """What each text will probably cost, found out in a microsecond: requests are sized and paced by it.

        Here an upper bound without a tokenizer: its bytes in UTF-8, and two marks.
        """
        return [len(text) * (1 if text.isascii() else 4) + 2 for text in texts]

    def likely_tokens(self, texts: Sequence[str]) -> list[int]:
        """What an estimate of the costs takes a text to cost where it cannot be counted: rather too much."""
        return self.count_tokens(texts)

    def counting(self) -> str:
        """How tokens are counted, in words. Raises NotConfigured where the settings name a table that cannot
        be used."""
        return "counted"

    @abstractmethod
    async def ping(self) -> None:
        """Raises what `embed` would, without spending anything worth naming."""

    async def warm_up(self) -> None:
        """Load what the first call would load, where that takes long. Nothing is asked of a provider."""
        return

    async def close(self) -> None:
        """Let go of connections and threads."""
        return
