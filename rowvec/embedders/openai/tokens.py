"""How many tokens a text has: exactly where the tokenizer's table is at hand, else bounded, and learned."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import structlog

TABLE = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""The name under which tiktoken keeps the table of cl100k_base, OpenAI's tokenizer for embeddings."""

TABLE_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"

FIRST_RATIO = 0.4
"""Tokens a byte before any is known. By OpenAI's table sentences have 0.21 in English, 0.25 in Russian,
0.27 in German, 0.39 in Japanese, 0.43 in Arabic, 0.47 in Chinese, 0.50 in Korean; codes have 0.8 to 0.95."""

_PROSE = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ "
_ASCII = bytes(range(128))
PROSE_RATIO, FOREIGN_RATIO, SIGN_RATIO = 0.4, 0.6, 1.0
"""Tokens a byte, rather too many, of Latin letters and spaces, of what is not ASCII, of digits and signs."""

FIRST_BYTES = 20_000
MEMORY_BYTES = 2_000_000
"""Of what was billed, as much counts as the ratio is soon that of the rows at hand."""

Counter = Callable[[Sequence[str]], list[int]]
log = structlog.get_logger(__name__)


def byte_counts(texts: Sequence[str]) -> list[int]:
    """UTF-8 bytes, of which no text has fewer than tokens."""
    return [len(text) if text.isascii() else len(text.encode()) for text in texts]


def high_counts(texts: Sequence[str]) -> list[int]:
    """More tokens than sentences have in any language named above. Only unbroken letters may have more."""
    return [_high(text.encode()) for text in texts]


def _high(text: bytes) -> int:
    rest = len(text.translate(None, _PROSE))
    foreign = len(text.translate(None, _ASCII))
    prose, signs = len(text) - rest, rest - foreign
    return math.ceil(PROSE_RATIO * prose + FOREIGN_RATIO * foreign + SIGN_RATIO * signs)


class Ratio:
    """Tokens a byte, learned from what was billed; what was billed last weighs most."""

    def __init__(self) -> None:
        self._bytes = float(FIRST_BYTES)
        self._tokens = FIRST_BYTES * FIRST_RATIO

    def learn(self, size: int, tokens: int) -> None:
        """So many bytes were billed as so many tokens."""
        keep = MEMORY_BYTES / (MEMORY_BYTES + size)
        self._bytes = self._bytes * keep + size
        self._tokens = self._tokens * keep + tokens

    def estimate(self, texts: Sequence[str]) -> list[int]:
        """The likely tokens of each, one at least."""
        ratio = self._tokens / self._bytes
        return [round(size * ratio) or 1 for size in byte_counts(texts)]


def fault_of(folder: str) -> str | None:
    """Why tokens cannot be counted exactly with this TIKTOKEN_CACHE_DIR, and what to do; None: they can."""
    table = Path(folder) / TABLE
    if not folder:
        return "TIKTOKEN_CACHE_DIR is not set"
    if find_spec("tiktoken") is None:
        return "tiktoken is not installed: pip install tiktoken"
    if not table.is_file():
        return f"there is no '{TABLE}' in TIKTOKEN_CACHE_DIR, {folder}. {_FETCH}"
    if hashlib.sha256(table.read_bytes()).hexdigest() != TABLE_SHA256:
        return f"{table} is damaged. Remove it. {_FETCH}"
    return None


_FETCH = "Have it fetched there: python -c \"import tiktoken; tiktoken.get_encoding('cl100k_base')\""


def exact_counter(folder: str) -> Counter | None:
    """Counts as OpenAI does, where tiktoken is installed and its table is in the folder; nothing is fetched.

    `folder` is TIKTOKEN_CACHE_DIR, under which name tiktoken itself looks for it.
    """
    fault = fault_of(folder)
    if fault:
        if folder:
            log.warning("tokens_not_counted", why=fault)
        return None
    os.environ["TIKTOKEN_CACHE_DIR"] = folder
    encoding = import_module("tiktoken").get_encoding("cl100k_base")

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in encoding.encode_ordinary_batch(list(texts), num_threads=1)]

    return count
