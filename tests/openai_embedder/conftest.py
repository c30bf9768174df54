"""One stand-in of OpenAI for all tests of this folder, as it was at its start for each of them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rowvec.embedders.openai import OpenAIEmbedder, tokens
from standins.process import Standin, started

KEY = "sk-proj-1234567890abcdef"
AS_AT_THE_START: dict[str, Any] = {
    "key": KEY, "latency": {}, "requests_per_second": None, "tokens_per_minute": None, "requests_hold": 1.0,
    "tokens_hold": 4.0, "faults": {}, "script": [], "marker": None, "spoilt": {}, "billing": None,
    "credit_tokens": None, "shows_limits": True,
}  # fmt: skip


TIKTOKEN = """
import os
from pathlib import Path

from standins.openai import tokens

def get_encoding(name):
    assert name == "cl100k_base"
    assert (Path(os.environ["TIKTOKEN_CACHE_DIR"]) / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4").is_file()
    return Encoding()

class Encoding:
    def encode_ordinary_batch(self, texts, num_threads):
        return [range(tokens(text)) for text in texts]
"""
"""Its interface, as far as it is used: the package itself needs a table that can only be downloaded, so
the stand-in bills by a rule of its own, and by that rule this counts."""


@pytest.fixture
def tiktoken_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, and an installed tiktoken."""
    folder = tmp_path_factory.mktemp("tiktoken")
    (folder / "tiktoken.py").write_text(TIKTOKEN)
    (folder / tokens.TABLE).write_bytes(b"a table")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "elsewhere")
    monkeypatch.setattr(tokens, "TABLE_SHA256", hashlib.sha256(b"a table").hexdigest())
    return folder


@pytest.fixture(scope="session")
def process() -> Iterator[Standin]:
    with started("openai") as running:
        yield running


@pytest.fixture
def standin(process: Standin) -> Standin:
    process.set(**AS_AT_THE_START)
    process.reset()
    return process


@pytest.fixture
def settings(standin: Standin) -> dict[str, str]:
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{standin.url}/v1"}


@pytest.fixture
async def embedder(settings: dict[str, str]) -> AsyncIterator[OpenAIEmbedder]:
    opened = OpenAIEmbedder.open(settings)
    yield opened
    await opened.close()
