"""The embedder against a server that answers as OpenAI does, and as it does on a bad day."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from rowvec.embedders.openai import OpenAIEmbedder
from rowvec.errors import (
    CredentialsRefused,
    InputRefused,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    RowvecError,
    TaskFailed,
    Unavailable,
    Unusable,
)
from rowvec.rates import Rates
from standins.openai import tokens, vector
from standins.openai.settings import BILLING
from standins.process import Standin
from standins.web import Answer, Request, listen, start
from tests.openai_embedder.conftest import KEY

pytestmark = pytest.mark.anyio

SMALL = "text-embedding-3-small"


async def fails(embedder: OpenAIEmbedder, *texts: str) -> RowvecError:
    with pytest.raises(RowvecError) as raised:
        await embedder.embed(texts or ["a text"])
    assert type(raised.value) is not RowvecError
    return raised.value


async def opened(settings: dict[str, str], **more: str) -> OpenAIEmbedder:
    return OpenAIEmbedder.open(settings | more)


async def test_every_text_gets_its_own_vector(embedder: OpenAIEmbedder) -> None:
    """Bit by bit, and the tokens that were billed."""
    texts = [f"text {n}" for n in range(300)]
    embedding = await embedder.embed(texts)
    assert np.array_equal(embedding.vectors, np.stack([vector(SMALL, 1536, text) for text in texts]))
    assert embedding.tokens == sum(map(tokens, texts))


MODELS = [
    ("text-embedding-3-large", "", 3072), ("text-embedding-3-large", "256", 256),
    ("text-embedding-ada-002", "1536", 1536), ("text-embedding-ada-002", "", 1536),
]  # fmt: skip


@pytest.mark.parametrize(("model", "dimensions", "dimension"), MODELS)
async def test_models_and_dimensions(
    settings: dict[str, str], model: str, dimensions: str, dimension: int
) -> None:
    """`dimensions` is only sent where it is needed: older models refuse it."""
    embedder = await opened(settings, OPENAI_MODEL=model, OPENAI_DIMENSIONS=dimensions)
    embedding = await embedder.embed(["a"])
    await embedder.close()
    assert embedder.dimension == dimension
    assert np.array_equal(embedding.vectors[0], vector(model, dimension, "a"))


# Every row of the table of failures


async def test_a_text_that_is_too_long_is_refused(embedder: OpenAIEmbedder) -> None:
    """With the provider's reason, for the caller to find it among its neighbours."""
    error = await fails(embedder, "a", "b" * 40_000)
    assert type(error) is InputRefused and "maximum context length is 8192 tokens" in error.message


async def test_a_request_that_is_too_large_is_to_be_halved(embedder: OpenAIEmbedder) -> None:
    """More than 300,000 tokens together: no text of them is at fault."""
    error = await fails(embedder, *["b" * 30_000] * 41)
    assert type(error) is RequestTooLarge and "307500 tokens" in error.message


async def test_an_empty_text_is_refused(embedder: OpenAIEmbedder) -> None:
    """The pipeline never sends one; who does is told."""
    assert "'$.input' is invalid" in (await fails(embedder, "a", " ")).message


async def test_a_marked_text_is_refused(embedder: OpenAIEmbedder, standin: Standin) -> None:
    """With whatever is beside it."""
    standin.set(marker="POISON")
    assert type(await fails(embedder, "a", "POISON")) is InputRefused


async def test_a_wrong_key_pauses_and_is_not_shown(embedder: OpenAIEmbedder, standin: Standin) -> None:
    """Not even when the provider repeats it; nor is it in any representation."""
    standin.set(key="sk-another-key")
    error = await fails(embedder)
    assert type(error) is CredentialsRefused and "OPENAI_API_KEY" in error.message
    for shown in (error.message, repr(error), repr(embedder._options), repr(vars(embedder))):
        assert "1234567890" not in shown


async def test_no_key_is_sent_where_there_is_none(settings: dict[str, str]) -> None:
    """A server of one's own needs none; OpenAI's kind asks for it."""
    embedder = await opened(settings, OPENAI_API_KEY="")
    error = await fails(embedder)
    await embedder.close()
    assert type(error) is CredentialsRefused and "didn't provide an API key" in error.message


async def test_an_unknown_model_fails_the_task(settings: dict[str, str]) -> None:
    """As does an address where there is no such service."""
    wrong = {"OPENAI_MODEL": "text-embedding-9", "OPENAI_DIMENSIONS": "8"}
    for more in (wrong, {"OPENAI_BASE_URL": settings["OPENAI_BASE_URL"] + "/v2"}):
        embedder = await opened(settings, **more)
        error = await fails(embedder)
        await embedder.close()
        assert type(error) is TaskFailed and "OPENAI_MODEL" in error.message


async def test_a_rate_says_how_long_to_wait(embedder: OpenAIEmbedder, standin: Standin) -> None:
    """To the millisecond, as the provider does."""
    standin.set(requests_per_second=0.5, requests_hold=2.0)
    await embedder.embed(["a"])
    error = await fails(embedder)
    assert isinstance(error, RateLimited) and error.retry_after is not None
    assert 1.0 < error.retry_after <= 2.0


async def test_what_no_wait_would_get_through_is_to_be_halved(
    embedder: OpenAIEmbedder, standin: Standin
) -> None:
    """A request of more tokens than the account ever has is refused with a 429, too."""
    standin.set(tokens_per_minute=6_000)
    assert type(await fails(embedder, *["b" * 300] * 100)) is RequestTooLarge


@pytest.mark.parametrize("code", sorted(BILLING))
async def test_billing_pauses(embedder: OpenAIEmbedder, standin: Standin, code: str) -> None:
    """Though it is a 429 as well."""
    standin.set(billing=code)
    error = await fails(embedder)
    assert type(error) is QuotaExhausted and "quota" in error.message


FAULTS = [
    "error-500", "error-503", "vanish", "billed-vanish", "cut", "no-json",
    "short-count", "wrong-index", "wrong-dimension", "nan", "zero",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("count", [1, 3])
async def test_what_is_no_answer_is_asked_again(
    embedder: OpenAIEmbedder, standin: Standin, fault: str, count: int
) -> None:
    """Unavailable, in words, or Unusable where it is whole and wrong; and the next answer is right."""
    standin.set(script=[fault])
    error = await fails(embedder, *[f"text {n}" for n in range(count)])
    wrong = ("short-count", "wrong-index", "wrong-dimension", "nan", "zero")
    assert isinstance(error, Unusable) == (fault in wrong) and len(error.message) > 20
    assert isinstance(error, Unavailable)
    assert np.array_equal((await embedder.embed(["a"])).vectors[0], vector(SMALL, 1536, "a"))


@pytest.mark.parametrize("fault", ["hang", "billed-hang"])
async def test_silence_ends(
    embedder: OpenAIEmbedder, standin: Standin, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes a request and never answers is weather."""
    monkeypatch.setattr("rowvec.embedders.openai.client.READ_SECONDS", 0.2)
    standin.set(script=[fault])
    error = await fails(embedder)
    assert type(error) is Unavailable and "does not answer in time" in error.message


async def test_a_server_that_is_not_there(settings: dict[str, str]) -> None:
    """Weather, too: it may come up."""
    with listen(0) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    embedder = await opened(settings, OPENAI_BASE_URL=url)
    error = await fails(embedder)
    await embedder.close()
    assert type(error) is Unavailable and "127.0.0.1" in error.message


async def test_who_gives_up_leaves_a_connection_that_others_can_use(
    embedder: OpenAIEmbedder, standin: Standin
) -> None:
    """A cancelled request takes nobody's answer with it."""
    standin.set(script=["hang", None, None])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await embedder.embed(["a"])
    for text in ("b", "c"):
        assert np.array_equal((await embedder.embed([text])).vectors[0], vector(SMALL, 1536, text))


# Rates


async def test_rates_are_told_by_the_answers(settings: dict[str, str], standin: Standin) -> None:
    """Tokens where none are set; requests where they are fewer than the twenty that are the default."""
    standin.set(requests_per_second=8, tokens_per_minute=3_000_000)
    for more, told in [
        ({}, Rates(8.0, 3e6)),
        ({"OPENAI_TOKENS_PER_MINUTE": "1000000"}, Rates(8.0, None)),
        ({"OPENAI_REQUESTS_PER_SECOND": "50"}, Rates(None, 3e6)),
    ]:
        embedder = await opened(settings, **more)
        assert (await embedder.embed(["a"])).rates == told
        await embedder.close()
    standin.set(requests_per_second=80, shows_limits=True)
    embedder = await opened(settings)
    assert (await embedder.embed(["a"])).rates == Rates(20.0, 3e6)
    standin.set(shows_limits=False)
    assert (await embedder.embed(["a"])).rates == Rates(None, None)
    await embedder.close()


async def test_estimates_learn_from_the_bill(embedder: OpenAIEmbedder) -> None:
    """Careful at first, near the truth after a few requests; also when the rows turn to another language."""
    english = [f"row {n} with some words of English in it" for n in range(500)]
    first = sum(embedder.estimate_tokens(english))
    truth = sum(map(tokens, english))
    assert truth * 1.2 < first < truth * 2
    for _ in range(20):
        await embedder.embed(english)
    assert sum(embedder.estimate_tokens(english)) == pytest.approx(truth, rel=0.06)
    japanese = [f"日本語のテキスト、行番号は{n}です。" * 4 for n in range(500)]
    for _ in range(40):
        await embedder.embed(japanese)
    assert sum(embedder.estimate_tokens(japanese)) == pytest.approx(sum(map(tokens, japanese)), rel=0.06)


# Health


async def test_health_is_cheap(embedder: OpenAIEmbedder, standin: Standin) -> None:
    """One token for many questions; none after an answer that somebody paid for anyway."""
    await asyncio.gather(*(embedder.ping() for _ in range(20)))
    assert standin.counters()["tokens_billed"] == 1
    standin.reset()
    await embedder.embed(["a"])
    await embedder.ping()
    assert standin.counters()["requests"] == 1


async def test_ill_health_is_not_asked_for_again_at_once(embedder: OpenAIEmbedder, standin: Standin) -> None:
    """Who asks for health every second does not load a provider that is down; an answer proves it well."""
    standin.set(billing="insufficient_quota")
    for _ in range(5):
        with pytest.raises(QuotaExhausted):
            await embedder.ping()
    assert standin.counters()["requests"] == 1
    standin.set(billing=None)
    await embedder.embed(["a"])
    await embedder.ping()


# Servers that only resemble OpenAI


async def from_server(body: bytes, status: int = 200, **settings: str) -> OpenAIEmbedder | RowvecError:
    """The embedding of "a", or the error, of a server that answers this."""

    async def handle(request: Request) -> Answer:
        assert request.headers["accept-encoding"] == "identity"
        return Answer(status, [body], {"content-type": "application/json"})

    listener = listen(0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    given = {"OPENAI_BASE_URL": url, "OPENAI_MODEL": "nomic", "OPENAI_DIMENSIONS": "2"} | settings
    embedder = OpenAIEmbedder.open(given)
    async with await start(handle, listener):
        try:
            embedding = await embedder.embed(["a"])
            assert embedding.vectors.tolist() == [[0.5, -0.25]] and embedding.tokens > 0
            return embedder
        except RowvecError as error:
            return error
        finally:
            await embedder.close()


async def test_numbers_are_read_where_a_server_does_not_know_base64() -> None:
    """And tokens are estimated where it does not count them."""
    embedder = await from_server(b'{"data":[{"index":0,"embedding":[0.5,-0.25]}],"object":"list"}')
    assert isinstance(embedder, OpenAIEmbedder) and embedder.price == 0.0


OTHERS = [
    (400, b'{"message":"too hot"}', InputRefused, "too hot"),
    (400, b'{"error":{"message":"no such model","param":"model"}}', TaskFailed, "no such model"),
    (400, b'{"error":{"message":"It does not support specifying dimensions."}}', TaskFailed, "OPENAI_DIM"),
    (402, b'{"error":"no credits"}', QuotaExhausted, "no credits"),
    (403, b"Forbidden", CredentialsRefused, "Forbidden"),
    (413, b'{"error":"batch size 2000 > maximum allowed batch size 32"}', RequestTooLarge, "batch size"),
    (422, b'{"detail":"must have less than 512 tokens"}', InputRefused, "512 tokens"),
    (429, b"", RateLimited, "asked too much"),
    (502, b"<html>bad gateway</html>", Unavailable, "502"),
    (503, b'{"error":{"message":"Slow Down","code":"slow_down"}}', RateLimited, "Slow Down"),
    (405, b"", Exception, "OPENAI_BASE_URL"),
    (200, b'{"data":[{"index":0,"embedding":"AAAA?"}]}', Unusable, "base64"),
    (200, b'{"data":[]}', Unusable, "0 vectors for 1 texts"),
    (200, b"\xff\xfe", Unavailable, "cut short"),
    (200, b'{"data":[{"index":0,"embedding":[NaN,0.5]}]}', Unusable, "no embeddings"),
    (200, b'{"data":[{"index":0,"embedding":null}]}', Unusable, "no embeddings"),
    (200, b'{"error":{"message":"sorry"}}', Unusable, "cut short"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "words"), OTHERS)
async def test_answers_of_other_servers(status: int, body: bytes, kind: type[Exception], words: str) -> None:
    """Each is told in words and gets its meaning."""
    error = await from_server(body, status)
    assert isinstance(error, kind) and isinstance(error, RowvecError)
    assert words in error.message


# Ways out


async def through_a_proxy(monkeypatch: pytest.MonkeyPatch, **environment: str) -> list[str]:
    """The targets that a proxy is asked for, where the environment says this and `{}` is the proxy."""
    asked: list[str] = []

    async def handle(request: Request) -> Answer:
        asked.append(request.headers["authorization"] + " " + request.headers["host"])
        return Answer(200, [b'{"data":[{"index":0,"embedding":[0.5,-0.25]}]}'])

    listener = listen(0)
    proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(proxy))
    given = {"OPENAI_BASE_URL": "http://openai.invalid/v1", "OPENAI_API_KEY": KEY}
    embedder = OpenAIEmbedder.open(given | {"OPENAI_MODEL": "nomic", "OPENAI_DIMENSIONS": "2"})
    async with await start(handle, listener):
        try:
            await embedder.embed(["a"])
        except Unavailable:
            asked.append("nobody")
        finally:
            await embedder.close()
    return asked


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
async def test_a_proxy_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await through_a_proxy(monkeypatch, **{name: "{}"}) == [f"Bearer {KEY} openai.invalid"]


async def test_what_needs_no_proxy_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await through_a_proxy(monkeypatch, http_proxy="{}", no_proxy="openai.invalid") == ["nobody"]


async def test_a_password_in_netrc_is_not_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The key is what counts, whatever else a user keeps for the address."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine openai.invalid login me password secret\n")
    netrc.chmod(0o600)
    asked = await through_a_proxy(monkeypatch, http_proxy="{}", NETRC=str(netrc))
    assert asked == [f"Bearer {KEY} openai.invalid"]
