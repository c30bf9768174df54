"""The embedder that needs no key and no network: wordllama's static table of token vectors."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rowvec.embedders.base import Embedder
from rowvec.errors import InputRefused, NotConfigured
from rowvec.vectors import Embedding, Floats

_TABLE = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_SLAB_TEXTS = 64
_SLAB_CHARACTERS = 65_536
_WINDOW_TOKENS = 1_024
_SMALLEST_NORM = 1e-6

TokenIds = NDArray[np.uint16]
T = TypeVar("T")


class LocalEmbedder(Embedder):
    """The mean of the vectors of a text's tokens, brought to length 1; 256 dimensions.

    Loaded at first use, from the files in the installed `wordllama` package. The package itself is
    never imported: it sets up logging for the whole process and pulls in an HTTP client.
    """

    model = "wordllama-l2-supercat-256"
    dimension = 256
    # A mean blurs long before it breaks: a passage of more tokens would be found by nothing.
    max_tokens = 2_048
    max_inputs = 2_048
    # About 3,000 rows of 60 words: some 0.3 s of two cores, so that a cancelled caller is not held long.
    max_request_tokens = 262_144
    price = 0.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: _Model | None = None
        self._loading = threading.Lock()
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="local-embedder")

    @classmethod
    def open(cls, settings: Mapping[str, str]) -> LocalEmbedder:  # noqa: ARG003 (the contract's signature)
        package = find_spec("wordllama")
        if package is None or not package.submodule_search_locations:
            raise NotConfigured(
                "The local embedder needs wordllama, which is not installed: pip install wordllama."
            )
        folder = Path(package.submodule_search_locations[0])
        for name in (_TABLE, _TOKENIZER):
            if not (folder / name).is_file():
                raise NotConfigured(
                    f"wordllama is installed without {name}: reinstall it (0.4 has the file)."
                )
        return cls(folder)

    async def embed(self, texts: Sequence[str]) -> Embedding:
        return await self._run(lambda: self._model().embed(texts))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._model().count_tokens(texts)

    async def ping(self) -> None:
        await self._run(self._model)

    async def warm_up(self) -> None:
        await self._run(self._model)

    async def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _model(self) -> _Model:
        with self._loading:
            if self._loaded is None:
                self._loaded = _Model(self._folder)
            return self._loaded


class _Model:
    """The table, of shape (32000, 256), and the tokenizer that gives its row numbers."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self._table: Floats = load_file(folder / _TABLE)["embedding.weight"].astype(np.float32)
        self._tokenizer: Any = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # A "</s>" in a row is four characters somebody typed, not the end of anything.
        self._tokenizer.encode_special_tokens = True

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for slab in _slabs(texts) for ids in self._token_ids(slab)]

    def embed(self, texts: Sequence[str]) -> Embedding:
        sums = np.empty((len(texts), self._table.shape[1]), np.float32)
        window = np.empty((_WINDOW_TOKENS, self._table.shape[1]), np.float32)
        rows = iter(sums)
        tokens = 0
        for slab in _slabs(texts):
            for ids in self._token_ids(slab):
                self._add_up(ids, window, next(rows))
                tokens += len(ids)
        return Embedding(_normalised(sums), tokens)

    def _token_ids(self, texts: Sequence[str]) -> list[TokenIds]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.uint16) for encoding in encodings]

    def _add_up(self, ids: TokenIds, window: Floats, total: Floats) -> None:
        """Put the sum of the tokens' vectors into `total`, through a window that fits the cache.

        Text by text is four times as fast as one gather for many, and gives the very same vector
        whatever else is in the batch.
        """
        total[:] = 0.0
        for start in range(0, len(ids), _WINDOW_TOKENS):
            part = ids[start : start + _WINDOW_TOKENS].astype(np.intp)
            gathered = window[: len(part)]
            # Ids are always in range; only `clip` writes to `out` without a buffer in between.
            self._table.take(part, axis=0, out=gathered, mode="clip")
            total += gathered.sum(axis=0)


def _slabs(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Runs of texts short enough that one of them, however long, bounds the memory of the work."""
    first = characters = 0
    for index, text in enumerate(texts):
        full = index - first == _SLAB_TEXTS or characters + len(text) > _SLAB_CHARACTERS
        if full and index > first:
            yield texts[first:index]
            first, characters = index, 0
        characters += len(text)
    if first < len(texts):
        yield texts[first:]


def _normalised(sums: Floats) -> Floats:
    """Rows of length 1. A sum and a mean have the same direction, so no division comes before."""
    norms: NDArray[np.float32] = np.linalg.norm(sums, axis=1, keepdims=True)
    empty = np.flatnonzero(norms[:, 0] < _SMALLEST_NORM)
    if empty.size:
        raise InputRefused(
            f"Text {empty[0]} of the request has no tokens to embed: it is empty. Give it some text."
        )
    return sums / norms
