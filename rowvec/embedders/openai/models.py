"""What is known of OpenAI's models. Source: its pricing and embeddings pages, read 2026-11."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    """`price` is in dollars per million tokens; one that `shortens` takes `dimensions` below its own."""

    dimension: int
    price: float
    shortens: bool


KNOWN = {
    "text-embedding-3-small": Model(1536, 0.02, True),
    "text-embedding-3-large": Model(3072, 0.13, True),
    "text-embedding-ada-002": Model(1536, 0.10, False),
}

MAX_INPUTS = 2_048
MAX_TOKENS = 8_192
MAX_REQUEST_TOKENS = 300_000
