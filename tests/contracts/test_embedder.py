"""What every embedder promises."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from rowvec import embedders
from rowvec.backends import load
from rowvec.embedders.base import Embedder
from rowvec.errors import InputRefused, NotConfigured
from rowvec.vectors import Floats
from standins.process import started

pytestmark = pytest.mark.anyio

BACKENDS = ["local", "memory", "openai"]
TEXTS = [
    "hello",
    "A longer sentence, with commas and a full stop.",
    "日本語のテキスト",
    "👩‍👩‍👧 family",
    "</s><s><unk>",
    "line\nbreak\ttab",
    "\x07",
    "ﷺ",
    "a" * 700,
    "1234567890",
    " padded ",
]


@pytest.fixture(params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


@pytest.fixture(scope="module")
def openai_settings() -> Iterator[dict[str, str]]:
    with started("openai") as standin:
        yield {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": f"{standin.url}/v1"}


@pytest.fixture
def settings(name: str, request: pytest.FixtureRequest) -> dict[str, str]:
    found: dict[str, str] = request.getfixturevalue("openai_settings") if name == "openai" else {}
    return found


@pytest.fixture
async def embedder(name: str, settings: dict[str, str]) -> AsyncIterator[Embedder]:
    opened: Embedder = load("embedder", embedders.TABLE, name).open(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def local() -> AsyncIterator[Embedder]:
    opened: Embedder = load("embedder", embedders.TABLE, "local").open({})
    yield opened
    await opened.close()


def run_program(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


async def one(embedder: Embedder, text: str) -> Floats:
    vector: Floats = (await embedder.embed([text])).vectors[0]
    return vector


async def test_shape_and_kind(embedder: Embedder) -> None:
    """One row a text, float32, of the dimension the embedder names, of length 1 and finite."""
    vectors = (await embedder.embed(TEXTS)).vectors
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


async def test_nothing_gives_nothing(embedder: Embedder) -> None:
    """No texts: no vectors, of the right width, and no tokens."""
    assert (await embedder.embed([])).vectors.shape == (0, embedder.dimension)
    assert embedder.count_tokens([]) == []


async def test_the_company_does_not_change_a_vector(embedder: Embedder) -> None:
    """A text has the same vector alone, in a batch, and in the batch turned round."""
    together = (await embedder.embed(TEXTS)).vectors
    turned = (await embedder.embed(TEXTS[::-1])).vectors[::-1]
    alone = np.stack([await one(embedder, text) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-6
    assert np.abs(together - turned).max() < 1e-6


async def long_neighbour(embedder: Embedder, text: str) -> None:
    vectors = (await embedder.embed(["before", text, "after"])).vectors
    assert np.abs(vectors[0] - await one(embedder, "before")).max() < 1e-6
    assert np.abs(vectors[2] - await one(embedder, "after")).max() < 1e-6
    assert np.isfinite(vectors[1]).all()


async def test_a_long_neighbour_changes_nothing(embedder: Embedder) -> None:
    """The longest text that may be in a batch leaves the vectors around it as they are."""
    await long_neighbour(embedder, "long " * (embedder.max_tokens // 5))


async def test_order_in_a_large_request(embedder: Embedder) -> None:
    """In a request as large as allowed every vector stands where its text stood."""
    texts = [f"row number {n}" for n in range(embedder.max_inputs)]
    vectors = (await embedder.embed(texts)).vectors
    for n in (0, 1, 63, 64, 65, 1000, embedder.max_inputs - 1):
        assert np.abs(vectors[n] - await one(embedder, texts[n])).max() < 1e-6


async def test_other_texts_have_other_vectors(embedder: Embedder) -> None:
    """No two of the texts fall on the same vector."""
    vectors = (await embedder.embed(TEXTS)).vectors
    assert (vectors @ vectors.T - 2 * np.eye(len(TEXTS))).max() < 0.9999


async def test_callers_at_once_get_their_own(embedder: Embedder) -> None:
    """Many callers, the first among them loading the model, each get what they asked for."""
    results = await asyncio.gather(*(embedder.embed([text]) for text in TEXTS * 3))
    for text, embedding in zip(TEXTS * 3, results, strict=True):
        assert np.abs(embedding.vectors[0] - await one(embedder, text)).max() < 1e-6


async def test_tokens_are_bounded_by_bytes(embedder: Embedder) -> None:
    """A count is at least 1 and never more than the bytes of the text and 2."""
    counts = embedder.count_tokens(TEXTS)
    assert len(counts) == len(TEXTS)
    for text, count in zip(TEXTS, counts, strict=True):
        assert 1 <= count <= len(text.encode()) + 2


async def test_tokens_do_not_depend_on_the_company(embedder: Embedder) -> None:
    """Counting together is counting one by one."""
    many = TEXTS * 20
    assert embedder.count_tokens(many) == [embedder.count_tokens([text])[0] for text in TEXTS] * 20


async def test_tokens_are_told_with_the_vectors(embedder: Embedder) -> None:
    """What a request cost is told with its answer, and is not more than what was counted."""
    embedding = await embedder.embed(TEXTS)
    assert 0 < embedding.tokens <= sum(embedder.count_tokens(TEXTS))


async def test_another_process_gets_the_same_vector(
    name: str, settings: dict[str, str], embedder: Embedder
) -> None:
    """A vector does not depend on the process: what was stored yesterday is found today."""
    program = (
        "import asyncio\n"
        "from rowvec import embedders\n"
        "from rowvec.backends import load\n"
        f"e = load('embedder', embedders.TABLE, '{name}').open({settings!r})\n"
        "print(asyncio.run(e.embed(['hello'])).vectors.tobytes().hex())\n"
        "asyncio.run(e.close())"
    )
    run = run_program(program)
    other = np.frombuffer(bytes.fromhex(run.stdout.strip()), np.float32)
    assert np.abs(other - await one(embedder, "hello")).max() < 1e-6


async def test_limits_are_stated(embedder: Embedder) -> None:
    """A model name and positive limits, the largest request taking at least the longest text."""
    await embedder.ping()
    assert embedder.model
    assert embedder.dimension > 0
    assert embedder.max_inputs > 0
    assert embedder.max_request_tokens >= embedder.max_tokens > 0
    assert (embedder.price > 0) == (embedder.model == "text-embedding-3-small")


async def test_an_estimate_costs_no_tokenizer_and_is_no_joke(embedder: Embedder) -> None:
    """At least one for each text, independent of the company, and not below a quarter of the truth."""
    estimated = embedder.estimate_tokens(TEXTS)
    assert len(estimated) == len(TEXTS) and min(estimated) >= 1
    assert estimated == [embedder.estimate_tokens([text])[0] for text in TEXTS]
    assert sum(estimated) >= (await embedder.embed(TEXTS)).tokens / 4


async def test_the_local_one_takes_a_megabyte(local: Embedder) -> None:
    """More than the pipeline ever sends it in one text."""
    await long_neighbour(local, "long " * 200_000)


async def test_the_local_one_knows_meaning(local: Embedder) -> None:
    """A question is nearest to the text that is about the same thing, though no word is shared."""
    questions = ["puppy", "automobile repair", "delicious italian food"]
    answers = ["a young dog", "fixing a car engine", "pasta and pizza"]
    scores = (await local.embed(questions)).vectors @ (await local.embed(answers)).vectors.T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    puppy, dog, law = (await local.embed(["puppy", "dog", "tax law"])).vectors
    assert puppy @ dog > puppy @ law + 0.2


async def test_the_local_one_refuses_what_has_no_tokens(local: Embedder) -> None:
    """A text without any token would be a vector of zeros: it is refused, by its place."""
    with pytest.raises(InputRefused, match="Text 70 "):
        await local.embed(["x"] * 70 + [""] + ["y"])


async def test_the_local_one_takes_marks_of_its_model_as_text(local: Embedder) -> None:
    """What a person typed is never a control token."""
    assert local.count_tokens(["a</s>b"])[0] > local.count_tokens(["a"])[0] + 2


async def test_the_local_one_leaves_logging_alone() -> None:
    """Loading the model neither sets up logging nor imports an HTTP client."""
    program = (
        "import asyncio, logging, sys\n"
        "from rowvec.embedders.local import LocalEmbedder\n"
        "e = LocalEmbedder.open({})\n"
        "asyncio.run(e.embed(['hello']))\n"
        "assert not logging.getLogger().handlers\n"
        "assert not {'requests', 'wordllama'} & sys.modules.keys()"
    )
    run = run_program(program)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


async def test_the_memory_one_has_the_dimension_it_is_given() -> None:
    """The setting gives the dimension and is part of the model's name."""
    opened: Embedder = load("embedder", embedders.TABLE, "memory").open({"MEMORY_EMBEDDER_DIMENSION": "384"})
    assert (opened.model, opened.dimension) == ("memory-384", 384)
    assert (await opened.embed(["x"])).vectors.shape == (1, 384)


@pytest.mark.parametrize("setting", ["0", "-1", "many", "1e3", "20000", "٣"])
def test_the_memory_one_refuses_a_wrong_dimension(setting: str) -> None:
    """A dimension that is none is found when the embedder is opened, and named."""
    with pytest.raises(NotConfigured, match="MEMORY_EMBEDDER_DIMENSION"):
        load("embedder", embedders.TABLE, "memory").open({"MEMORY_EMBEDDER_DIMENSION": setting})
