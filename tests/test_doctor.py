"""`doctor` goes through all parts, and says of each that is wrong what it is and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.doctor import Finding, examined
from app.config import Settings
from standins.process import Standin, started
from tests.http_service import free_port
from tests.servers.metabase import Metabase
from tests.servers.moto import Moto
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.anyio
KEY = "sk-proj-1234567890abcdef"
INDEXES = [
    {"name": "products", "dimension": 1536},
    {"name": "small", "dimension": 384},
    {"name": "dot", "dimension": 1536, "metric": "dotproduct"},
]
NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def openai() -> Iterator[Standin]:
    with started("openai", key=KEY) as running:
        yield running


@pytest.fixture(scope="module")
def pinecone() -> Iterator[Standin]:
    with started("pinecone", indexes=INDEXES) as running:
        yield running


@pytest.fixture(scope="module")
def bucket(moto: Moto) -> str:
    return moto.new_bucket()


@pytest.fixture
def production(
    openai: Standin,
    pinecone: Standin,
    moto: Moto,
    bucket: str,
    metabase: Metabase,
    redis_server: RedisServer,
    tmp_path: Path,
) -> dict[str, str]:
    """The settings of many servers, all of them right."""
    return {
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(free_port()),
        "LEDGER_URL": f"dynamodb://doctor-{bucket}",
        "BROKER_URL": redis_server.url,
        "EMBEDDER": "openai",
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"{openai.url}/v1",
        "VECTOR_STORE_URL": "pinecone://products",
        "PINECONE_API_KEY": "pcsk_standin",
        "PINECONE_CONTROLLER_HOST": pinecone.url,
        "FILE_STORE_URL": f"s3://{bucket}/own",
        "S3_BUCKET": bucket,
        **moto.settings,
        **metabase.settings,
    }


async def problems(
    given: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, str], list[Finding]]:
    """What is wrong, by part, and all that was found, with these settings and no `.env`."""
    monkeypatch.chdir(folder)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = await examined(Settings)
    return {finding.part: finding.detail for finding in found if not finding.ok}, found


async def test_nothing_is_wrong_with_a_whole_production_stack(
    production: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part is told by its address, none by its key, and nothing is left behind in the file store."""
    wrong, found = await problems(production, tmp_path, monkeypatch)
    assert wrong == {}
    said = {finding.part: finding.detail for finding in found}
    assert said["vector store"] == "pinecone://products"
    assert said["source"] == f"s3_csv reads the bucket {production['S3_BUCKET']}"
    assert "estimated" in said["tokens"] and "TIKTOKEN_CACHE_DIR is not set" in said["tokens"]
    assert "celery -A app.workers.celery_app worker" in said["worker"]
    assert not any(
        production[name] in str(said)
        for name in ("OPENAI_API_KEY", "PINECONE_API_KEY", "METABASE_API_KEY", "AWS_SECRET_ACCESS_KEY")
    )


@pytest.mark.parametrize(
    ("part", "setting", "words"),
    [
        ("embedder", {"OPENAI_API_KEY": "sk-proj-wrong"}, ["refuses OPENAI_API_KEY (401)", "Check the key."]),
        (
            "embedder",
            {"OPENAI_MODEL": "text-embedding-4", "OPENAI_DIMENSIONS": "1536"},
            ["no such model", "Check OPENAI_MODEL"],
        ),
        ("embedder", {"OPENAI_BASE_URL": f"http://{NOBODY}/v1"}, ["cannot be reached", "OPENAI_BASE_URL"]),
        ("embedder", {"OPENAI_MODEL": "text-embedding-4"}, ["OPENAI_DIMENSIONS", "text-embedding-3-small"]),
        ("vector store", {"PINECONE_API_KEY": "pcsk_wrong"}, ["Unauthorized. Set PINECONE_API_KEY"]),
        (
            "vector store",
            {"VECTOR_STORE_URL": "pinecone://nothing"},
            ["There is no Pinecone index 'nothing'", "VECTOR_STORE_URL"],
        ),
        (
            "vector store",
            {"VECTOR_STORE_URL": "pinecone://small"},
            ["holds vectors of 384 dimensions, these have 1536"],
        ),
        ("vector store", {"VECTOR_STORE_URL": "pinecone://dot"}, ["compares by dotproduct", "cosine"]),
        (
            "vector store",
            {"PINECONE_CONTROLLER_HOST": f"http://{NOBODY}"},
            ["did not answer", "PINECONE_CONTROLLER_HOST"],
        ),
        ("vector store", {"PINECONE_API_KEY": " "}, ["PINECONE_API_KEY is not set"]),
        ("source", {"S3_BUCKET": "nobody-has-this"}, ["There is no bucket 'nobody-has-this'. Set S3_BUCKET"]),
        (
            "source",
            {"USE_LOCAL_FILES": "true", "LOCAL_FILES_DIR": "/nowhere"},
            ["The folder '/nowhere' is not there", "LOCAL_FILES_DIR"],
        ),
        ("file store", {"FILE_STORE_URL": "s3://nobody-has-this/x"}, ["no bucket", "FILE_STORE_URL"]),
        (
            "broker",
            {"BROKER_URL": f"redis://:opensesame@{NOBODY}/0"},
            [f"Redis at {NOBODY}/0 does not answer", "Start it, or set BROKER_URL"],
        ),
        ("broker", {"BROKER_URL": "amqp://localhost"}, ["BROKER_URL must be redis://host:6379/0"]),
        (
            "ledger",
            {"LEDGER_URL": f"postgresql://ann:opensesame@{NOBODY}/vectordb"},
            [f"postgresql://{NOBODY}/vectordb does not answer", "Check that the server runs"],
        ),
        ("ledger", {"LEDGER_URL": "mysql://x"}, ["no ledger called 'mysql'", "postgresql"]),
        ("metabase", {"METABASE_API_KEY": "mb_wrong"}, ["refuses METABASE_API_KEY", "Set a key"]),
        ("metabase", {"METABASE_API_KEY": ""}, ["There is no key for http://", "Set METABASE_API_KEY"]),
        ("metabase", {"METABASE_URL": f"http://{NOBODY}"}, ["does not answer", "METABASE_URL"]),
        ("tokens", {"TIKTOKEN_CACHE_DIR": "/nowhere"}, ["Tokens cannot be counted", "tiktoken"]),
        ("data folder", {"DATA_DIR": "/proc/none"}, ["/proc/none cannot be written", "DATA_DIR"]),
    ],
)
async def test_what_is_wrong_is_said_in_words(
    production: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
    setting: dict[str, str],
    words: list[str],
) -> None:
    """The part alone is found wrong (with what only the ledger can tell), in words that name the remedy."""
    wrong, found = await problems(production | setting, tmp_path, monkeypatch)
    told = {"embedder": {"tokens"}, "ledger": {"worker", "API key"}}.get(part, set())
    others = {name: words for name, words in wrong.items() if name != part}
    assert part in wrong and others.keys() <= told, wrong
    assert all(words.startswith(f"Only the {part} can tell, see") for words in others.values())
    assert [word for word in words if word not in wrong[part]] == []
    assert "opensesame" not in str(found) and "resume" not in wrong[part]


async def test_a_missing_key_keeps_no_other_part_from_being_looked_at(
    production: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is wrong is told at once; what cannot be told without the embedder says so."""
    faults = {
        "OPENAI_API_KEY": "",
        "OPENAI_BASE_URL": "",
        "METABASE_API_KEY": "mb_wrong",
        "S3_BUCKET": "none",
    }
    wrong, found = await problems(production | faults, tmp_path, monkeypatch)
    assert set(wrong) == {"embedder", "tokens", "metabase", "source"}
    assert "needs OPENAI_API_KEY" in wrong["embedder"]
    assert wrong["tokens"] == "Only the embedder can tell, see there."
    assert {"ledger", "broker", "file store", "vector store", "worker", "API key"} <= {
        f.part for f in found if f.ok
    }


async def test_a_metabase_that_is_none_is_told(
    production: dict[str, str], openai: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server at its address."""
    wrong, _ = await problems(production | {"METABASE_URL": openai.url}, tmp_path, monkeypatch)
    assert "does not answer as a Metabase does" in wrong["metabase"]


async def test_an_account_without_money_is_told(
    production: dict[str, str], openai: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI knows the key and takes no more requests."""
    openai.set(billing="insufficient_quota")
    try:
        wrong, _ = await problems(production, tmp_path, monkeypatch)
    finally:
        openai.set(billing=None)
    assert "asks for payment" in wrong["embedder"] and wrong["embedder"].endswith("Top the account up.")
