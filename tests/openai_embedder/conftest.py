"""One stand-in of OpenAI for all tests of this folder, as it was at its start for each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rowvec.embedders.openai import OpenAIEmbedder
from standins.process import Standin, started

KEY = "sk-proj-1234567890abcdef"
AS_AT_THE_START = {
    "key": KEY, "latency": {}, "requests_per_second": None, "tokens_per_minute": None, "requests_hold": 1.0,
    "tokens_hold": 4.0, "faults": {}, "script": [], "marker": None, "spoilt": {}, "billing": None,
    "credit_tokens": None, "shows_limits": True,
}  # fmt: skip


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
