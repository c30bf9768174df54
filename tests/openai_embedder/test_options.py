"""Settings that cannot work are refused before anything is spent, by their names."""

from __future__ import annotations

import pytest

from rowvec import embedders
from rowvec.backends import load
from rowvec.embedders.openai import OpenAIEmbedder
from rowvec.errors import NotConfigured
from rowvec.rates import Rates

KEY = {"OPENAI_API_KEY": "sk-test"}


def test_a_key_is_enough() -> None:
    """Everything else has a default."""
    embedder: OpenAIEmbedder = load("embedder", embedders.TABLE, "openai").open(KEY)
    assert (embedder.model, embedder.dimension, embedder.price) == ("text-embedding-3-small", 1536, 0.02)
    assert (embedder.max_inputs, embedder.max_tokens, embedder.max_request_tokens) == (2048, 8192, 300_000)
    assert embedder.rates == Rates(20.0, None)


def test_what_is_set_is_taken() -> None:
    """Also for a model that nobody knows."""
    embedder = OpenAIEmbedder.open(
        KEY
        | {"OPENAI_MODEL": "bge-m3", "OPENAI_DIMENSIONS": "1024", "OPENAI_MAX_TOKENS": "512"}
        | {"OPENAI_REQUESTS_PER_SECOND": "2.5", "OPENAI_TOKENS_PER_MINUTE": "1e6", "OPENAI_PRICE": "0.01"}
        | {"OPENAI_REQUEST_TOKENS": "9000"}
    )
    assert (embedder.model, embedder.dimension, embedder.price) == ("bge-m3", 1024, 0.01)
    assert (embedder.max_tokens, embedder.max_request_tokens) == (512, 9000)
    assert embedder.rates == Rates(2.5, 1e6)


def test_a_price_can_be_changed() -> None:
    """Prices fall, and other accounts have others: even nothing."""
    assert OpenAIEmbedder.open(KEY | {"OPENAI_PRICE": "0"}).price == 0.0
    assert OpenAIEmbedder.open(KEY | {"OPENAI_MODEL": "text-embedding-3-large"}).price == 0.13


def test_a_server_of_ones_own_needs_no_key() -> None:
    """OpenAI's does, however its address is written."""
    OpenAIEmbedder.open({"OPENAI_BASE_URL": "http://localhost:11434/v1/"})
    for base in ("", "https://api.openai.com/v1", "https://API.openai.com/v1/"):
        with pytest.raises(NotConfigured, match="OPENAI_API_KEY"):
            OpenAIEmbedder.open({"OPENAI_BASE_URL": base})


WRONG = [
    ("OPENAI_API_KEY", "sk-\nheader: x"), ("OPENAI_API_KEY", "“sk-test”"),
    ("OPENAI_BASE_URL", "api.openai.com"), ("OPENAI_BASE_URL", "ftp://x/v1"),
    ("OPENAI_BASE_URL", "https://user:pass@x/v1"), ("OPENAI_MODEL", "nobody-knows"),
    ("OPENAI_DIMENSIONS", "0"), ("OPENAI_DIMENSIONS", "1537"), ("OPENAI_DIMENSIONS", "many"),
    ("OPENAI_DIMENSIONS", "٣"), ("OPENAI_REQUESTS_PER_SECOND", "0"), ("OPENAI_REQUESTS_PER_SECOND", "fast"),
    ("OPENAI_TOKENS_PER_MINUTE", "-1"), ("OPENAI_TOKENS_PER_MINUTE", "nan"),
    ("OPENAI_TOKENS_PER_MINUTE", "inf"), ("OPENAI_PRICE", "-0.1"), ("OPENAI_MAX_TOKENS", "1.5"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_what_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    """And never repeated, where it is a secret."""
    with pytest.raises(
        NotConfigured, match=name if name != "OPENAI_MODEL" else "OPENAI_DIMENSIONS"
    ) as refused:
        OpenAIEmbedder.open(KEY | {name: value})
    assert name != "OPENAI_API_KEY" or value not in refused.value.message
    assert "pass@" not in refused.value.message


def test_an_old_model_cannot_be_shortened() -> None:
    """It would be refused for every request."""
    with pytest.raises(NotConfigured, match="text-embedding-ada-002 has 1536"):
        OpenAIEmbedder.open(KEY | {"OPENAI_MODEL": "text-embedding-ada-002", "OPENAI_DIMENSIONS": "256"})
