"""The stand-in is taken for OpenAI by OpenAI's own library, and does what it is told to."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import httpx2
import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins.openai import tokens, vector
from standins.openai.provider import duration
from standins.process import Standin, started

SMALL = "text-embedding-3-small"
TEXTS = ["hello", "Ein längerer Satz.", "日本語のテキスト", "👩‍👩‍👧 family"]
QUIET: dict[str, Any] = {
    "key": None, "faults": {}, "script": [], "marker": None, "spoilt": {}, "billing": None,
    "credit_tokens": None, "requests_per_second": None, "tokens_per_minute": None, "latency": {},
    "shows_limits": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def process() -> Iterator[Standin]:
    with started("openai") as running:
        yield running


@pytest.fixture
def standin(process: Standin) -> Standin:
    process.set(**QUIET)
    process.reset()
    return process


@pytest.fixture
def sdk(standin: Standin) -> Iterator[openai.OpenAI]:
    with (
        httpx2.Client(trust_env=False, timeout=5) as http,
        openai.OpenAI(
            api_key="sk-test", base_url=f"{standin.url}/v1", max_retries=0, http_client=http
        ) as client,
    ):
        yield client


def test_the_library_reads_the_answer(sdk: openai.OpenAI, standin: Standin) -> None:
    """Every field where it belongs; each vector is the one that is foretold, bit by bit."""
    raw = sdk.embeddings.with_raw_response.create(model=SMALL, input=TEXTS)
    answer = raw.parse()
    assert (answer.object, answer.model) == ("list", SMALL)
    assert [(item.object, item.index) for item in answer.data] == [("embedding", n) for n in range(4)]
    for item, text in zip(answer.data, TEXTS, strict=True):
        assert np.array_equal(np.array(item.embedding, np.float32), vector(SMALL, 1536, text))
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(tokens, TEXTS))
    assert raw.headers["x-request-id"] and raw.headers["openai-processing-ms"].isdigit()
    assert standin.counters()["tokens_billed"] == sum(map(tokens, TEXTS))


def test_floats_and_base64_are_the_same_vector(sdk: openai.OpenAI) -> None:
    """In either encoding, for one text as for several."""
    floats = sdk.embeddings.create(model=SMALL, input="hello", encoding_format="float").data[0].embedding
    coded = sdk.embeddings.create(model=SMALL, input="hello", encoding_format="base64").data[0].embedding
    decoded = np.frombuffer(base64.b64decode(str(coded)), "<f4")
    assert np.array_equal(np.array(floats, np.float32), decoded)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 13, 256, 1535])
def test_dimensions_are_what_was_asked_for(sdk: openai.OpenAI, dimensions: int) -> None:
    """A shorter vector is another one, and of length 1."""
    given_back = sdk.embeddings.create(model=SMALL, input=["a", "b"], dimensions=dimensions)
    for item, text in zip(given_back.data, "ab", strict=True):
        assert np.array_equal(np.array(item.embedding, np.float32), vector(SMALL, dimensions, text))
        assert np.linalg.norm(item.embedding) == pytest.approx(1.0, abs=1e-5)


def test_every_model_has_its_own_vectors(sdk: openai.OpenAI) -> None:
    """Of its own dimension."""
    for model, dimension in [
        (SMALL, 1536),
        ("text-embedding-3-large", 3072),
        ("text-embedding-ada-002", 1536),
    ]:
        embedding = sdk.embeddings.create(model=model, input="a").data[0].embedding
        assert np.array_equal(np.array(embedding, np.float32), vector(model, dimension, "a"))


def test_token_numbers_are_taken(sdk: openai.OpenAI, standin: Standin) -> None:
    """One array is one input, an array of arrays several; each number is a token."""
    one = sdk.embeddings.create(model=SMALL, input=[1, 2, 3])
    two = sdk.embeddings.create(model=SMALL, input=[[1, 2, 3], [4]])
    assert (one.usage.prompt_tokens, two.usage.prompt_tokens) == (3, 4)
    assert one.data[0].embedding == two.data[0].embedding != two.data[1].embedding


REFUSALS = [
    ({"input": [""]}, openai.BadRequestError, None, "'$.input' is invalid"),
    ({"input": ["a", " \n\t"]}, openai.BadRequestError, None, "'$.input' is invalid"),
    ({"input": []}, openai.BadRequestError, None, "'$.input' is invalid"),
    ({"input": ["a"] * 2049}, openai.BadRequestError, None, "'$.input' is invalid"),
    ({"input": ["a", 1]}, openai.BadRequestError, None, "'$.input' is invalid"),
    ({"input": "a" * 32_769}, openai.BadRequestError, None, "maximum context length is 8192 tokens"),
    ({"input": ["a" * 30_000] * 41}, openai.BadRequestError, "max_tokens_per_request", "Requested 307500"),
    ({"dimensions": 0}, openai.BadRequestError, None, "'$.dimensions' is invalid"),
    ({"dimensions": 1537}, openai.BadRequestError, None, "'$.dimensions' is invalid"),
    ({"dimensions": "many"}, openai.BadRequestError, None, "'$.dimensions' is invalid"),
    ({"encoding_format": "hex"}, openai.BadRequestError, None, "'$.encoding_format' is invalid"),
    ({"model": "text-embedding-ada-002", "dimensions": 8}, openai.BadRequestError, None, "not support"),
    ({"model": "gpt-embed"}, openai.NotFoundError, "model_not_found", "`gpt-embed` does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("wish", "kind", "code", "words"), REFUSALS)
def test_what_cannot_be_is_refused(
    sdk: openai.OpenAI, standin: Standin, wish: dict[str, Any], kind: type[openai.APIStatusError],
    code: str | None, words: str,
) -> None:  # fmt: skip
    """With OpenAI's status, code and words, and for free."""
    with pytest.raises(kind) as refused:
        sdk.embeddings.create(**{"model": SMALL, "input": "a", **wish})
    assert isinstance(refused.value.body, dict)
    assert set(refused.value.body) == {"message", "type", "param", "code"}
    assert (refused.value.code, words in refused.value.message) == (code, True)
    assert standin.counters()["texts_billed"] == 0


def test_the_limits_themselves_are_kept(sdk: openai.OpenAI) -> None:
    """2,048 inputs, 8,192 tokens in one and 300,000 in all are still taken."""
    assert len(sdk.embeddings.create(model=SMALL, input=["a"] * 2048).data) == 2048
    assert sdk.embeddings.create(model=SMALL, input="a" * 32_768).usage.prompt_tokens == 8192
    assert sdk.embeddings.create(model=SMALL, input=["a" * 30_000] * 40).usage.prompt_tokens == 300_000


def test_who_has_no_key_is_sent_away(sdk: openai.OpenAI, standin: Standin) -> None:
    """A wrong one, and none at all."""
    standin.set(key="sk-right")
    with pytest.raises(openai.AuthenticationError) as wrong:
        sdk.embeddings.create(model=SMALL, input="a")
    assert wrong.value.code == "invalid_api_key"
    assert sdk.with_options(api_key="sk-right").embeddings.create(model=SMALL, input="a").data
    answer = httpx2.post(f"{standin.url}/v1/embeddings", json={"model": SMALL, "input": "a"}, trust_env=False)
    assert answer.status_code == 401 and "didn't provide an API key" in answer.json()["error"]["message"]


def test_who_is_too_fast_waits(sdk: openai.OpenAI, standin: Standin) -> None:
    """The bucket's size at once, then a 429 that says for how long; headers count by the minute."""
    standin.set(requests_per_second=0.5, requests_hold=4.0, tokens_per_minute=60_000)
    first = sdk.embeddings.with_raw_response.create(model=SMALL, input="a" * 4000)
    assert first.headers["x-ratelimit-limit-requests"] == "30"
    assert first.headers["x-ratelimit-limit-tokens"] == "60000"
    assert 59_000 <= int(first.headers["x-ratelimit-remaining-tokens"]) < 59_999
    assert first.headers["x-ratelimit-reset-tokens"].endswith(("s", "ms"))
    sdk.embeddings.create(model=SMALL, input="a")
    with pytest.raises(openai.RateLimitError) as refused:
        sdk.embeddings.create(model=SMALL, input="a")
    assert refused.value.code == "rate_limit_exceeded" and refused.value.type == "requests"
    assert 1000 < int(refused.value.response.headers["retry-after-ms"]) <= 2000
    assert refused.value.response.headers["retry-after"] == "2"
    counted = standin.counters()
    assert (counted["answered_429"], counted["rate_refusals"], counted["texts_billed"]) == (1, 1, 2)


def test_what_no_bucket_holds_is_told_apart(sdk: openai.OpenAI, standin: Standin) -> None:
    """Four seconds of tokens are 4,000 here: more than that would never be taken, however long one waits."""
    standin.set(tokens_per_minute=60_000)
    with pytest.raises(openai.RateLimitError, match="Request too large") as refused:
        sdk.embeddings.create(model=SMALL, input="a" * 16_004)
    assert refused.value.type == "tokens" and "retry-after" not in refused.value.response.headers
    assert sdk.embeddings.create(model=SMALL, input="a" * 16_000).data


BILLING = [
    "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
]  # fmt: skip


@pytest.mark.parametrize("code", BILLING)
def test_who_does_not_pay_gets_nothing(sdk: openai.OpenAI, standin: Standin, code: str) -> None:
    """A 429 too, which no waiting helps."""
    standin.set(billing=code)
    with pytest.raises(openai.RateLimitError) as refused:
        sdk.embeddings.create(model=SMALL, input="a")
    assert refused.value.code == code and "retry-after" not in refused.value.response.headers
    assert standin.counters()["billing_refusals"] == 1


def test_credit_runs_out(sdk: openai.OpenAI, standin: Standin) -> None:
    """Once so many tokens are billed; and comes back when it is topped up."""
    standin.set(credit_tokens=10)
    sdk.embeddings.create(model=SMALL, input="a" * 40)
    with pytest.raises(openai.RateLimitError, match="quota"):
        sdk.embeddings.create(model=SMALL, input="a")
    standin.set(credit_tokens=100)
    sdk.embeddings.create(model=SMALL, input="a")


def test_a_marked_text_spoils_its_request(sdk: openai.OpenAI, standin: Standin) -> None:
    """And nobody says which one it was."""
    standin.set(marker="POISON")
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.embeddings.create(model=SMALL, input=["a", "some POISON here", "b"])
    assert "POISON" not in str(refused.value.body) and "1" not in refused.value.message
    assert sdk.embeddings.create(model=SMALL, input=["a", "b"]).data


LOST = {
    "error-500": (openai.InternalServerError, 0),
    "error-503": (openai.InternalServerError, 0),
    "vanish": (openai.APIConnectionError, 0),
    "hang": (openai.APITimeoutError, 0),
    "billed-vanish": (openai.APIConnectionError, 1),
    "billed-hang": (openai.APITimeoutError, 1),
    "cut": (openai.APIConnectionError, 1),
}


@pytest.mark.parametrize("fault", LOST)
def test_answers_get_lost(sdk: openai.OpenAI, standin: Standin, fault: str) -> None:
    """Before the work or after it, which the bill tells; the next answer is well."""
    error, billed = LOST[fault]
    standin.set(script=[fault])
    with pytest.raises(error):
        sdk.with_options(timeout=0.3).embeddings.create(model=SMALL, input="a")
    counted = standin.counters()
    assert (counted["texts_billed"], counted["faults"]) == (billed, {fault: 1})
    assert sdk.embeddings.create(model=SMALL, input="a").data
    assert standin.ask("/_standin/lost", {"texts": ["a", "never"]}) == [billed, 0]


def test_answers_are_spoiled(sdk: openai.OpenAI, standin: Standin) -> None:
    """Each kind in its own way, in the last vector of three."""
    standin.set(script=["short-count", "wrong-index", "wrong-dimension", "nan", "zero"])
    count, index, dimension, nan, zero = [
        sdk.embeddings.create(model=SMALL, input=["a", "b", "c"]).data for _ in range(5)
    ]
    assert len(count) == 2
    assert [item.index for item in index] == [0, 1, 0]
    assert [len(item.embedding) for item in dimension] == [1536, 1536, 1535]
    assert [np.isnan(item.embedding).sum() for item in nan] == [0, 0, 1]
    assert [np.linalg.norm(item.embedding) for item in zero] == pytest.approx([1.0, 1.0, 0.0], abs=1e-5)
    standin.set(spoilt={"b": "zero"})
    spoilt = sdk.embeddings.create(model=SMALL, input=["a", "b", "c"]).data
    assert [np.linalg.norm(item.embedding) for item in spoilt] == pytest.approx([1.0, 0.0, 1.0], abs=1e-5)
    standin.set(script=["no-json"])
    raw = sdk.embeddings.with_raw_response.create(model=SMALL, input="a")
    assert raw.http_response.text.startswith("<html>")


def test_what_was_paid_twice_is_known(sdk: openai.OpenAI, standin: Standin) -> None:
    """By text, and in all."""
    for texts in (["a", "b"], ["b", "c"], ["b"]):
        sdk.embeddings.create(model=SMALL, input=texts)
    counted = standin.counters()
    assert (counted["texts_billed"], counted["texts_distinct"], counted["texts_paid_twice"]) == (5, 3, 2)
    assert counted["billed_times"] == {"1": 2, "3": 1}
    assert standin.ask("/_standin/billed", {"texts": ["a", "b", "never"]}) == [1, 3, 0]
    standin.reset()
    assert standin.ask("/_standin/billed", {"texts": ["a"]}) == [0]


def test_a_setting_changes_nothing_else(sdk: openai.OpenAI, standin: Standin) -> None:
    """A script goes on where it was; a bucket is not filled again."""
    standin.set(script=["error-500", None, "error-503"], requests_per_second=0.01, requests_hold=300)
    with pytest.raises(openai.InternalServerError):
        sdk.embeddings.create(model=SMALL, input="a")
    standin.set(marker="x")
    raw = sdk.embeddings.with_raw_response.create(model=SMALL, input="a")
    assert raw.headers["x-ratelimit-reset-requests"].startswith("3m")
    with pytest.raises(openai.InternalServerError, match="503"):
        sdk.embeddings.create(model=SMALL, input="a")


SENSELESS: list[dict[str, object]] = [
    {"nonsense": 1}, {"faults": {"fire": 0.1}}, {"faults": {"hang": 2}}, {"billing": "love"},
    {"spoilt": {"a": "cut"}}, {"tokens_per_minute": -1}, {"latency": {"mean": -1}},
]  # fmt: skip


@pytest.mark.parametrize("wrong", SENSELESS)
def test_settings_that_make_no_sense_are_refused(standin: Standin, wrong: dict[str, object]) -> None:
    """A test that misspells one does not go on as if all were well."""
    with pytest.raises(HTTPError, match="400"):
        standin.set(**wrong)


@given(st.text(min_size=1))
def test_tokens_are_never_more_than_bytes(text: str) -> None:
    """And at least one; a letter that is not ASCII costs more."""
    assert 1 <= tokens(text) <= len(text.encode())


def test_tokens_depend_on_the_language() -> None:
    """About as at OpenAI: four letters of English, fewer of other scripts."""
    assert tokens("a" * 400) == 100 and tokens("д" * 400) == 300 and tokens("語" * 400) == 500


def test_durations_are_written_as_openai_does() -> None:
    """In milliseconds, in seconds, in minutes and seconds."""
    assert [duration(s) for s in (0, 0.12, 1.5, 59, 60, 360.0, 61.25)] == [
        "0ms", "120ms", "1.5s", "59s", "1m0s", "6m0s", "1m1.25s",
    ]  # fmt: skip
