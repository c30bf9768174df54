"""An embedder without a model, for tests and for measuring everything else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from rowvec.embedders.base import Embedder
from rowvec.errors import NotConfigured
from rowvec.vectors import Embedding

_BYTES_PER_TOKEN = 4
_LARGEST_DIMENSION = 16_384


class MemoryEmbedder(Embedder):
    """Unit vectors made of a hash of the text. They carry no meaning: only equal texts are near.

    `MEMORY_EMBEDDER_DIMENSION` (64) sets the dimension. A token is four bytes of UTF-8.
    """

    max_tokens = 8_192
    max_inputs = 2_048
    max_request_tokens = 1_048_576

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.model = f"memory-{dimension}"

    @classmethod
    def open(cls, settings: Mapping[str, str]) -> MemoryEmbedder:
        text = settings.get("MEMORY_EMBEDDER_DIMENSION") or "64"
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _LARGEST_DIMENSION):
            raise NotConfigured(
                f"MEMORY_EMBEDDER_DIMENSION is '{text}'; it must be a number from 1 to {_LARGEST_DIMENSION}."
            )
        return cls(int(text))

    async def embed(self, texts: Sequence[str]) -> Embedding:
        digests = b"".join(hashlib.shake_128(text.encode()).digest(self.dimension) for text in texts)
        steps = np.frombuffer(digests, np.uint8).reshape(len(texts), self.dimension)
        vectors = steps.astype(np.float32) - np.float32(127.5)  # the half keeps every element off zero
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embedding(vectors, sum(self.count_tokens(texts)))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [-(-len(text.encode()) // _BYTES_PER_TOKEN) for text in texts]

    async def ping(self) -> None:
        return
