"""Pinecone as a vector store: what it checks, what it waits for, what it does about Pinecone's limits."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from rowvec.errors import (
    CredentialsRefused,
    InputRefused,
    NotConfigured,
    RequestTooLarge,
    StoreMismatch,
    Unavailable,
)
from rowvec.vectorstores.pinecone import PineconeStore
from standins.process import Standin
from tests.pinecone.conftest import DIMENSION, WAYS, Open
from tests.pinecone.kit import batch, directions, ids_in, numbered

pytestmark = pytest.mark.anyio


# Settings


@pytest.mark.parametrize(
    ("url", "settings", "said"),
    [
        ("pinecone://", {"PINECONE_API_KEY": "k"}, "pinecone://INDEX"),
        ("pinecone", {"PINECONE_API_KEY": "k"}, "pinecone://INDEX"),
        ("pinecone://x", {}, "PINECONE_API_KEY"),
        ("pinecone://x", {"PINECONE_API_KEY": " "}, "PINECONE_API_KEY"),
        ("pinecone://x", {"PINECONE_API_KEY": "two\nlines"}, "PINECONE_API_KEY"),
        ("pinecone://x", {"PINECONE_API_KEY": "k", "PINECONE_TRANSPORT": "soap"}, "grpc, rest"),
    ],
)
def test_settings_that_cannot_be_are_refused(url: str, settings: dict[str, str], said: str) -> None:
    """A missing or impossible setting is named when the store is opened, before anything is called."""
    with pytest.raises(NotConfigured, match=said):
        PineconeStore.open(url, settings)


async def test_the_key_is_never_shown(open_store: Open, standin: Standin) -> None:
    """Neither the store, nor an error of any call, holds the key."""
    store = open_store(PINECONE_API_KEY="pcsk_canary")
    with pytest.raises(CredentialsRefused) as refusal:
        await store.prepare("ns", DIMENSION)
    shown = [repr(store), repr(store._connection._access), str(refusal.value), repr(refusal.value.__cause__)]
    assert "canary" not in "".join(shown)


async def test_a_host_of_ones_own_goes_before_the_one_described(open_store: Open, standin: Standin) -> None:
    """PINECONE_HOST is where vectors go; the index is described as ever."""
    other = {"name": "vectors", "dimension": DIMENSION}
    standin.set(indexes=[{"name": "elsewhere", "dimension": DIMENSION}, other])
    for way in ("grpc", "rest"):
        store = open_store(way, PINECONE_HOST=standin.url)
        await store.upsert("ns", batch([way]))
    assert standin.ask("/_standin/summary", {"index": "elsewhere", "namespace": "ns"})["vectors"] == 2
    assert standin.ask("/_standin/summary", {"index": "vectors", "namespace": "ns"})["vectors"] == 0


# What is found out before anything is spent


@pytest.mark.parametrize(
    ("index", "dimension", "error", "said"),
    [
        ("vectors", 1536, StoreMismatch, "8 dimensions.*1536"),
        ("documents", 1536, StoreMismatch, "8 dimensions.*1536"),
        ("dotproduct", DIMENSION, StoreMismatch, "dotproduct.*cosine"),
        ("embedding", DIMENSION, StoreMismatch, "embeds the text of 'body'"),
        ("nowhere", DIMENSION, StoreMismatch, "no Pinecone index 'nowhere'"),
        ("unready", DIMENSION, Unavailable, "not ready"),
    ],
)
async def test_an_index_that_does_not_fit_is_told_in_words(
    open_store: Open, standin: Standin, index: str, dimension: int, error: type[Exception], said: str
) -> None:
    """Preparing tells a wrong dimension, metric, kind or name of the index, and writes nothing."""
    with pytest.raises(error, match=said):
        await open_store(index=index).prepare("ns", dimension)
    assert "upsert" not in standin.counters()


async def test_a_wrong_key_is_told_before_anything_is_spent(store: PineconeStore, standin: Standin) -> None:
    """Preparing asks both planes, so that a key is known to be right before the first embedding."""
    standin.set(keys=["pcsk_another"])
    for ask in (store.prepare("ns", DIMENSION), store.ping()):
        with pytest.raises(CredentialsRefused, match="PINECONE_API_KEY"):
            await ask


async def test_the_index_is_described_once(store: PineconeStore, standin: Standin) -> None:
    """However many calls there are at once, the control plane is asked once, and again after a failure."""
    standin.set(keys=[])
    with pytest.raises(CredentialsRefused):
        await store.prepare("ns", DIMENSION)
    standin.set(keys=["pcsk_standin"])
    await asyncio.gather(*(store.upsert("ns", batch([f"id-{n}"])) for n in range(20)))
    assert standin.counters()["describe_index"] == 2


@pytest.mark.parametrize("way", ["grpc", "rest"])
async def test_nobody_at_the_address(open_store: Open, way: str) -> None:
    """An address where nothing answers is weather, in words."""
    for settings in (
        {"PINECONE_CONTROLLER_HOST": "http://127.0.0.1:1"},
        {"PINECONE_HOST": "http://127.0.0.1:1"},
    ):
        with pytest.raises(Unavailable, match=r"Pinecone did not answer|Pinecone, when"):
            await open_store(way, **settings).ping()


# What is written


@pytest.mark.parametrize("id_", ["日本", "é", "a\0b", "x" * 513, ""])
async def test_an_id_that_pinecone_does_not_take_is_refused_by_name(store: PineconeStore, id_: str) -> None:
    """It is found here, before its request is sent, and asking for it finds nothing."""
    with pytest.raises(InputRefused, match="no id for Pinecone"):
        await store.upsert("ns", batch(["good", id_]))
    assert await store.stamps("ns", [id_, "good"]) == []
    await store.delete("ns", [id_])


async def test_a_vector_of_zeros_is_refused_by_name(store: PineconeStore) -> None:
    """Pinecone takes no vector that points nowhere."""
    vectors = directions(3)
    vectors[1] = 0
    with pytest.raises(InputRefused, match="'id-1' holds only zeros"):
        await store.upsert("ns", batch(numbered(3), vectors=vectors))


@pytest.mark.parametrize("value", [None, {"a": 1}, [1, 2], 2**53 + 1, float("inf")])
async def test_metadata_that_pinecone_does_not_take_is_refused_by_name(
    store: PineconeStore, value: Any
) -> None:
    """Nothing, nested and mixed values, and numbers that would lose digits are not changed in silence."""
    with pytest.raises(InputRefused, match=r"'id-1'.*'field'"):
        await store.upsert("ns", batch(numbered(2), metadata=[{}, {"field": value}]))


async def test_a_long_text_is_cut_and_says_so(store: PineconeStore) -> None:
    """Beside metadata of the largest size there is room for a part of the text, which ends with a mark."""
    text = 'grün "und" blau\n' * 5_000
    metadata = {"largest": "m" * (store.max_metadata_bytes - 20), "n": 1}
    await store.upsert("ns", batch(["a"], texts=[text], metadata=[metadata]))
    [found] = await store.search("ns", directions(1)[0], 1)
    assert found.text.endswith("…")
    assert text.startswith(found.text[:-1])
    assert len(found.text.encode()) > 4_000
    assert found.metadata == metadata


async def test_metadata_beyond_any_room_is_refused_by_name(store: PineconeStore) -> None:
    """What would not fit without any text is refused before it is sent."""
    with pytest.raises(InputRefused, match=r"'a'.*at most"):
        await store.upsert("ns", batch(["a"], metadata=[{"x": "y" * 41_000}]))


async def test_a_request_that_is_too_large_is_told_apart(store: PineconeStore, standin: Standin) -> None:
    """More than 2 MB in a request is a reason to halve it; it is not even sent."""
    with pytest.raises(RequestTooLarge):
        await store.upsert("ns", batch(numbered(100), texts=["x" * 30_000] * 100))
    assert "upsert" not in standin.counters()


async def test_sizes_are_never_below_what_is_sent(store: PineconeStore, standin: Standin) -> None:
    """Requests packed by `sizes` are within Pinecone's limit, whatever the rows hold."""
    await store.prepare("ns", DIMENSION)
    texts = ["", "x" * 100, "日本語" * 200, 'a "quoted"\nline\n' * 50]
    whole = batch(
        numbered(4), texts=texts, metadata=[{"köln": "ß" * 50, "n": 1.5}, {"x": "y"}, {}, {"t": True}]
    )
    await store.upsert("ns", whole)
    assert sum(store.sizes(whole)) >= standin.counters()["upsert bytes"]


async def test_sizes_count_what_is_ours_too(store: PineconeStore, standin: Standin) -> None:
    """Without texts and metadata there are still the stamps, and the message around them."""
    await store.prepare("ns", DIMENSION)
    bare = batch(numbered(10), texts=[""] * 10, metadata=[{}] * 10)
    await store.upsert("ns", bare)
    assert sum(store.sizes(bare)) >= standin.counters()["upsert bytes"]


async def test_a_column_named_like_a_field_that_is_searched_as_text(
    open_store: Open, standin: Standin
) -> None:
    """Its strings go into that field; what is no string is kept beside it. Both come back as they were."""
    store = open_store("documents")
    rows = [{"title": "a string", "embedding": "a column"}, {"title": 5}]
    await store.upsert("ns", batch(["a", "b"], metadata=rows))
    found = {match.id: match.metadata for match in await store.search("ns", directions(1)[0], 5)}
    assert found == {"a": rows[0], "b": rows[1]}


# Reading what was written


@pytest.mark.parametrize("lsn", ["request", "committed"])
@pytest.mark.parametrize("on_fetch", [True, False])
async def test_reads_see_ones_own_writes(
    store: PineconeStore, standin: Standin, lsn: str, on_fetch: bool
) -> None:
    """Whatever headers tell how far a read has seen, stamps and searches wait for it."""
    standin.set(visible_after=0.15, lsn=lsn, lsn_on_fetch=on_fetch)
    for n in range(3):
        await store.upsert("ns", batch([f"id-{n}"]))
        assert [stamp.id for stamp in await store.stamps("ns", [f"id-{n}"])] == [f"id-{n}"]
        await store.delete("ns", [f"id-{n}"])
        assert await store.search("ns", directions(1)[0], 5) == []


async def test_reads_see_what_others_wrote_before_catching_up(
    store: PineconeStore, open_store: Open, standin: Standin
) -> None:
    """A process that wrote nothing itself sees, after `catch_up`, all that others had finished."""
    standin.set(visible_after=0.3)
    way = "documents" if await in_documents(store) else "rest"
    reader = open_store(way)
    assert await reader.stamps("ns", ["a"]) == []
    await store.upsert("ns", batch(["a"]))
    await reader.catch_up("ns")
    assert [stamp.id for stamp in await reader.stamps("ns", ["a"])] == ["a"]


async def in_documents(store: PineconeStore) -> bool:
    index, _ = await store._connection.open()
    return index.field is not None


async def test_catching_up_with_nothing(store: PineconeStore) -> None:
    """A namespace that is not there has nothing to wait for, and catching up leaves nothing behind."""
    await store.catch_up("nowhere")
    await store.upsert("ns", batch(["a"]))
    await store.catch_up("ns")
    assert await ids_in(store) == ["a"]


async def test_an_index_that_tells_no_log_numbers_is_read_as_it_is(
    store: PineconeStore, standin: Standin
) -> None:
    """Without the headers nobody waits for ever: reads give what they see."""
    standin.set(visible_after=0.2, lsn="none")
    await store.upsert("ns", batch(["a"]))
    await store.catch_up("ns")
    while not await store.stamps("ns", ["a"]):
        await asyncio.sleep(0.02)
    assert await ids_in(store) == ["a"]


async def test_a_namespace_that_is_never_shown_is_weather(
    store: PineconeStore, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting has an end, and the caller comes back later."""
    monkeypatch.setattr("rowvec.vectorstores.pinecone.freshness.PATIENCE", 0.1)
    standin.set(visible_after=3600)
    await store.upsert("ns", batch(["a"]))
    with pytest.raises(Unavailable, match="has not shown"):
        await store.stamps("ns", ["a"])


async def test_whether_others_have_written(store: PineconeStore, standin: Standin) -> None:
    """It is asked of the vectors themselves, not of the count, which comes late."""
    standin.set(counted_after=3600)
    await store.upsert("ns", batch(numbered(3), task="mine"))
    assert not await store.holds_others("ns", "mine", 3)
    assert await store.holds_others("ns", "another", 3)
    assert await store.count("ns") == 0


# Passages


async def test_all_passages_of_a_row_are_found(store: PineconeStore) -> None:
    """However many there are, with gaps, and beside rows whose ids look like passages."""
    split = [f"row#{n}" for n in [*range(1, 700), 1_000]]
    await store.upsert("ns", batch(split, row_ids=["row"] * 700))
    await store.upsert(
        "ns", batch(["row", "row#", "rows", "other#1"], row_ids=["row", "row#", "rows", "other"])
    )
    assert sorted(stamp.id for stamp in await store.stamps("ns", ["row"])) == sorted([*split, "row"])
    assert [stamp.id for stamp in await store.stamps("ns", ["other"])] == ["other#1"]


@pytest.mark.parametrize("way", ["grpc", "rest"])
async def test_an_index_that_filters_by_other_fields_only(
    open_store: Open, standin: Standin, way: str
) -> None:
    """Where filters do not see our fields, passages and the vectors of a task are found by listing ids."""
    store = open_store(way, "limited")
    await store.upsert("ns", batch([f"a#{n}" for n in range(1, 300)], task="t1", row_ids=["a"] * 299))
    await store.upsert("ns", batch(["b", "a"], task="t2"))
    assert len(await store.stamps("ns", ["a", "b"])) == 301
    assert await store.holds_others("ns", "t1", 301)
    assert await store.delete_task("ns", "t1") == 299
    assert await ids_in(store) == ["a", "b"]


async def test_what_another_program_stored(open_store: Open, standin: Standin) -> None:
    """Vectors without our fields are read without harm: no task wrote them."""
    from pinecone import Pinecone, Vector

    index = Pinecone(api_key="pcsk_standin", host=standin.url).index("vectors")
    index.upsert(vectors=[Vector("a", [1.0] * DIMENSION, metadata={"genre": "drama"})], namespace="ns")
    for way in ("grpc", "rest"):
        store = open_store(way)
        [stamp] = await store.stamps("ns", ["a"])
        assert (stamp.task_id, stamp.row_number) == ("", 0)
        [match] = await store.search("ns", np.ones(DIMENSION, np.float32), 1)
        assert (match.text, match.metadata) == ("", {"genre": "drama"})


@pytest.mark.parametrize("way", WAYS)
async def test_what_lies_in_pinecone_is_for_its_users_too(
    open_store: Open, standin: Standin, way: str
) -> None:
    """Columns have their own names there, and our fields a prefix."""
    from pinecone import Pinecone

    store = open_store(way)
    await store.upsert("ns", batch(["a"], metadata=[{"price": 5, "_hidden": "x"}]))
    client = Pinecone(api_key="pcsk_standin", host=standin.url)
    expected = {
        "price": 5.0,
        "rowvec_field__hidden": "x",
        "rowvec_task": "t",
        "rowvec_row": 1.0,
        "rowvec_text": "text of a",
    }
    if way == "documents":
        document = (
            client.index("documents").documents.fetch(namespace="ns", ids=["a"]).documents["a"].to_dict()
        )
        assert {
            name: value for name, value in document.items() if name not in ("_id", "embedding")
        } == expected
    else:
        assert client.index("vectors").fetch(ids=["a"], namespace="ns").vectors["a"].metadata == expected
