"""What turns text into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from rowvec.model import Embedding


class Embedder(ABC):
    """Embeds clean, non-empty texts. Same text, same model: same vector, up to rounding.

    `max_tokens` is the longest text, `max_inputs` and `max_request_tokens` the largest request.
    `price` is in dollars per million tokens. `in_flight` is how many chunks are worth having under way for
    its sake: where it computes in this process one is read and one stored meanwhile, a network hides more.
    """

    model: str
    dimension: int
    max_tokens: int
    max_inputs: int
    max_request_tokens: int
    price: float = 0.0
    in_flight: int = 3

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
        bisects), RetryLater, PauseNeeded, or TaskFailed. All or nothing: never fewer vectors.
        """

    @abstractmethod
    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, exact or a safe over-estimate; never more than its UTF-8 bytes + 2."""

    @abstractmethod
    async def ping(self) -> None:
        """Raises what `embed` would, without spending anything worth naming."""

    async def close(self) -> None:
        """Let go of connections and threads."""
        return
