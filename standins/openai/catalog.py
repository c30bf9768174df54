"""The models that the stand-in knows, and OpenAI's limits of one request."""

from __future__ import annotations

from dataclasses import dataclass

MAX_INPUTS = 2_048
MAX_INPUT_TOKENS = 8_192
MAX_REQUEST_TOKENS = 300_000


@dataclass(frozen=True, slots=True)
class Model:
    """`shortens`: it takes `dimensions` below its own."""

    dimensions: int
    shortens: bool


MODELS = {
    "text-embedding-3-small": Model(1536, True),
    "text-embedding-3-large": Model(3072, True),
    "text-embedding-ada-002": Model(1536, False),
}
