"""What every vector store promises, and what those promise that keep the vectors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rowvec import vectorstores
from rowvec.backends import load
from rowvec.errors import InputRefused, InvalidRequest, NotConfigured, StoreMismatch
from rowvec.vectors import Floats, Stamp, VectorBatch
from rowvec.vectorstores.base import VectorStore
from rowvec.vectorstores.digest import DigestStore
from tests.contracts.store_kit import DIMENSION, KEEPING, LOCAL, PINECONE, opened

pytestmark = pytest.mark.anyio

BACKENDS = [*KEEPING, "digest"]
PLAIN = ["it's", "''", '"', "a\\b", "a#1", "new\nline", "%_", "' OR '1'='1", "a/b?c&d=e", "x" * 512]
AWKWARD = [*PLAIN, "日本語", "👩‍👧", "nul\x00", "é", "e\u0301"]
NAMESPACES = ["default", "A", "a", "0", "a.lance", "a..b", "a-", "x" * 128, "CON", "1.2.3"]

Open = Callable[[], VectorStore]


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, any_store: Callable[[str], VectorStore]) -> VectorStore:
    """Every store."""
    return any_store(request.param)


@pytest.fixture(params=KEEPING)
async def keeping(request: pytest.FixtureRequest, any_store: Callable[[str], VectorStore]) -> VectorStore:
    """The stores that keep what they are given."""
    found = any_store(request.param)
    await found.prepare("ns", DIMENSION)
    return found


@pytest.fixture(params=LOCAL)
async def local(request: pytest.FixtureRequest, any_store: Callable[[str], VectorStore]) -> VectorStore:
    """The stores that keep ids and metadata of any kind."""
    found = any_store(request.param)
    await found.prepare("ns", DIMENSION)
    return found


@pytest.fixture(params=PINECONE)
async def remote(request: pytest.FixtureRequest, any_store: Callable[[str], VectorStore]) -> VectorStore:
    """Pinecone by each of its ways."""
    found = any_store(request.param)
    await found.prepare("ns", DIMENSION)
    return found


@pytest.fixture
async def open_lance(tmp_path: Path) -> AsyncIterator[Open]:
    """LanceDB stores on one folder, as several processes would open it."""
    stores: list[VectorStore] = []

    def another() -> VectorStore:
        stores.append(opened("lancedb", tmp_path / "vectors"))
        return stores[-1]

    yield another
    for store in stores:
        await store.close()


def directions(count: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION)).astype(np.float32)


def batch(ids: Sequence[str], task: str = "t", **columns: Any) -> VectorBatch:
    given: dict[str, Any] = {
        "row_ids": list(ids),
        "row_numbers": list(range(1, len(ids) + 1)),
        "vectors": directions(len(ids)),
        "texts": [f"text of {id_}" for id_ in ids],
        "metadata": [{"n": n} for n in range(len(ids))],
    }
    return VectorBatch(task, ids, **(given | columns))


def numbered(count: int, first: int = 0) -> list[str]:
    return [f"id-{n}" for n in range(first, first + count)]


async def write(store: VectorStore, ids: Sequence[str]) -> None:
    """Any number of ids, in batches the store takes."""
    for low in range(0, len(ids), store.max_batch):
        await store.upsert("ns", batch(ids[low : low + store.max_batch]))


async def ids_in(store: VectorStore, namespace: str = "ns") -> list[str]:
    return sorted(stamp.id for stamp in await store.all_stamps(namespace))


# Every store


@pytest.mark.parametrize("namespace", NAMESPACES)
async def test_any_namespace_works(store: VectorStore, namespace: str) -> None:
    """Every name within the rule can be prepared, filled and counted."""
    await store.prepare(namespace, DIMENSION)
    await store.upsert(namespace, batch(numbered(3)))
    assert await store.count(namespace) == 3


@pytest.mark.parametrize("namespace", ["", ".a", "-a", "_a", "a/b", "../a", "a b", "ä", "x" * 129, "a\n"])
async def test_other_namespaces_are_refused(store: VectorStore, namespace: str) -> None:
    """A name outside the rule is refused before it becomes a path."""
    with pytest.raises(InvalidRequest) as refusal:
        await store.prepare(namespace, DIMENSION)
    assert refusal.value.field == "namespace"


async def test_namespaces_are_apart(store: VectorStore) -> None:
    """What is written to one namespace is not counted in another."""
    for namespace in ("a", "b"):
        await store.prepare(namespace, DIMENSION)
    await store.upsert("a", batch(numbered(5)))
    assert (await store.count("a"), await store.count("b")) == (5, 0)


async def test_prepare_again_changes_nothing(store: VectorStore) -> None:
    """Preparing is idempotent, also for many at once, and keeps what is there."""
    await asyncio.gather(*(store.prepare("ns", DIMENSION) for _ in range(8)))
    await store.upsert("ns", batch(numbered(5)))
    await store.prepare("ns", DIMENSION)
    assert await store.count("ns") == 5


async def test_another_dimension_is_a_mismatch(store: VectorStore) -> None:
    """A namespace of another dimension is refused, in numbers, before anything is spent on it."""
    await store.prepare("ns", DIMENSION)
    with pytest.raises(StoreMismatch, match=f"{DIMENSION}.*{DIMENSION + 1}"):
        await store.prepare("ns", DIMENSION + 1)
    with pytest.raises(StoreMismatch):
        await store.upsert("ns", batch(["a"], vectors=np.ones((1, DIMENSION + 1), np.float32)))
    assert await store.count("ns") == 0


@pytest.mark.parametrize("backend", [*LOCAL, "digest"])
async def test_what_was_not_prepared_is_a_mismatch(
    backend: str, any_store: Callable[[str], VectorStore]
) -> None:
    """Vectors for a namespace nobody prepared are not lost without a word."""
    with pytest.raises(StoreMismatch, match="prepared"):
        await any_store(backend).upsert("ns", batch(["a"]))


async def test_an_unknown_namespace_is_empty(store: VectorStore) -> None:
    """Reading or deleting what never was finds nothing and is no error."""
    await store.delete("nowhere", ["a"])
    assert await store.count("nowhere") == 0
    assert await store.stamps("nowhere", ["a"]) == []
    assert await store.all_stamps("nowhere") == []
    assert await store.delete_task("nowhere", "t") == 0
    assert await store.search("nowhere", directions(1)[0], 5) == []


async def test_an_empty_batch_is_nothing(store: VectorStore) -> None:
    """A chunk all of whose rows were rejected writes nothing."""
    await store.prepare("ns", DIMENSION)
    await store.upsert("ns", batch([]))
    assert await store.count("ns") == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
async def test_a_vector_that_is_no_number_is_refused(store: VectorStore, bad: float) -> None:
    """A broken vector is named, and nothing of its batch is written."""
    await store.prepare("ns", DIMENSION)
    vectors = directions(3)
    vectors[1, 7] = bad
    with pytest.raises(InputRefused, match="id-1"):
        await store.upsert("ns", batch(numbered(3), vectors=vectors))
    assert await store.count("ns") == 0


@pytest.mark.parametrize(
    "metadata", [{"x": "y" * 2**21}, {"x": float("nan")}, {"x": object()}, {"x": "half \ud83d"}]
)
async def test_metadata_that_cannot_be_kept_is_refused(store: VectorStore, metadata: dict[str, Any]) -> None:
    """Metadata too large, or no JSON, is refused by its id, and nothing of its batch is written."""
    await store.prepare("ns", DIMENSION)
    with pytest.raises(InputRefused, match="id-1"):
        await store.upsert("ns", batch(numbered(2), metadata=[{}, metadata]))
    assert await store.count("ns") == 0


async def test_a_batch_above_the_limit_is_refused(store: VectorStore) -> None:
    """One vector more than the store takes is refused; as many as it takes are not."""
    await store.prepare("ns", DIMENSION)
    with pytest.raises(InputRefused, match=str(store.max_batch)):
        await store.upsert("ns", batch(numbered(store.max_batch + 1)))
    await store.upsert("ns", batch(numbered(store.max_batch)))
    assert await store.count("ns") == store.max_batch


async def test_ping_answers(store: VectorStore) -> None:
    """A store that works is silent."""
    await store.ping()


async def test_closing_twice_is_harmless(store: VectorStore) -> None:
    """A store may be closed when it was never used, and again."""
    await store.close()
    await store.close()


# Stores that keep vectors


async def test_stamps_say_who_wrote_what(keeping: VectorStore) -> None:
    """A finished upsert is seen at once, with its rows, task and row numbers."""
    await keeping.upsert(
        "ns", batch(["a#1", "a#2", "b"], task="t1", row_ids=["a", "a", "b"], row_numbers=[7, 7, 9])
    )
    expected = [Stamp("a#1", "a", "t1", 7), Stamp("a#2", "a", "t1", 7), Stamp("b", "b", "t1", 9)]
    assert sorted(await keeping.all_stamps("ns"), key=lambda stamp: stamp.id) == expected
    assert sorted(await keeping.stamps("ns", ["a"]), key=lambda stamp: stamp.id) == expected[:2]
    assert await keeping.stamps("ns", ["b", "b", "no such row"]) == expected[2:]
    assert await keeping.stamps("ns", []) == []


async def test_an_id_is_there_once(keeping: VectorStore) -> None:
    """Writing an id again replaces its vector, text, metadata and stamp, and adds nothing."""
    await keeping.upsert("ns", batch(numbered(10), task="old"))
    vectors = -directions(4)
    await keeping.upsert("ns", batch(numbered(4), task="new", vectors=vectors, texts=["new"] * 4))
    assert await ids_in(keeping) == sorted(numbered(10))
    assert {stamp.id for stamp in await keeping.all_stamps("ns") if stamp.task_id == "new"} == set(
        numbered(4)
    )
    nearest = (await keeping.search("ns", vectors[2], 1))[0]
    assert (nearest.id, nearest.text, nearest.metadata) == ("id-2", "new", {"n": 2})


async def test_awkward_ids(keeping: VectorStore) -> None:
    """Ids with quotes, escapes, signs of SQL and of addresses are written, found and deleted exactly."""
    await read_and_deleted(keeping, PLAIN)


async def test_ids_of_any_script(local: VectorStore) -> None:
    """So are ids that are no ASCII, where the store takes them."""
    await read_and_deleted(local, AWKWARD)


async def read_and_deleted(store: VectorStore, ids: Sequence[str]) -> None:
    await store.upsert("ns", batch(ids))
    assert await ids_in(store) == sorted(ids)
    for id_ in ids:
        assert [stamp.id for stamp in await store.stamps("ns", [id_])] == [id_]
    for n, id_ in enumerate(ids):
        await store.delete("ns", [id_])
        assert await ids_in(store) == sorted(ids[n + 1 :])


@pytest.mark.parametrize("task", AWKWARD)
async def test_delete_task_leaves_the_others(keeping: VectorStore, task: str) -> None:
    """The vectors of one task go, and are counted; those of every other stay."""
    await keeping.upsert("ns", batch(numbered(6), task=task))
    await keeping.upsert("ns", batch(numbered(4, first=4), task="other"))
    assert await keeping.delete_task("ns", task) == 4
    assert await keeping.delete_task("ns", task) == 0
    assert await ids_in(keeping) == sorted(numbered(4, first=4))


async def test_the_stamps_of_a_task(keeping: VectorStore) -> None:
    """All that it wrote last, passages too, and nothing of others; none of a task that is unknown."""
    first = [*numbered(1_200), "a#1", "a#2"]
    await keeping.upsert("ns", batch(first[:700], "one"))
    await keeping.upsert("ns", batch(first[700:], "one", row_ids=[*first[700:-2], "a", "a"]))
    await keeping.upsert("ns", batch(numbered(100), "it's"))
    await keeping.catch_up("ns")

    assert sorted([stamp.id for stamp in await of_task(keeping, "one")]) == sorted(first[100:])
    assert {stamp.row_id for stamp in await of_task(keeping, "one") if "#" in stamp.id} == {"a"}
    assert len(await of_task(keeping, "it's")) == 100
    assert await of_task(keeping, "nobody") == []
    assert [portion async for portion in keeping.of_task("unknown", "one") if portion] == []


async def of_task(store: VectorStore, task: str) -> list[Stamp]:
    return [stamp async for portion in store.of_task("ns", task) for stamp in portion]


async def test_a_store_that_counts_exactly_does(keeping: VectorStore) -> None:
    """Where it says so a written vector is counted at once, and one that is replaced no second time."""
    await keeping.upsert("ns", batch(numbered(30)))
    await keeping.upsert("ns", batch(numbered(10)))
    await keeping.delete("ns", numbered(5))

    assert await keeping.count("ns") == 25 or not keeping.counts_exactly


async def test_delete_takes_many_and_unknown_ids(keeping: VectorStore) -> None:
    """Thousands of ids go in one call; ids that are not there are no error."""
    await write(keeping, numbered(5_000))
    await keeping.delete("ns", [])
    await keeping.delete("ns", numbered(6_000, first=100))
    assert await ids_in(keeping) == sorted(numbered(100))


async def test_stamps_of_many_rows(keeping: VectorStore) -> None:
    """Few rows or tens of thousands are looked up alike, each found once."""
    for first in (0, 10_000):
        await write(keeping, numbered(10_000, first=first))
    for count in (1, 1_999, 2_000, 2_001, 30_000):
        found = await keeping.stamps("ns", numbered(count, first=4_000))
        assert sorted(stamp.id for stamp in found) == sorted(numbered(min(count, 16_000), first=4_000))
    assert await ids_in(keeping) == sorted(numbered(20_000))


async def test_search_finds_the_nearest_first(keeping: VectorStore) -> None:
    """Matches are those of an exact computation, in order, with the cosine as their score."""
    vectors = directions(300) * np.linspace(0.1, 9.0, 300, dtype=np.float32)[:, None]
    await keeping.upsert("ns", batch(numbered(300), vectors=vectors))
    query = directions(1, seed=1)[0]
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    best = np.argsort(-cosines)[:7]
    found = await keeping.search("ns", query, 7)
    assert [match.id for match in found] == [f"id-{n}" for n in best]
    assert [match.score for match in found] == pytest.approx(cosines[best].tolist(), abs=1e-5)
    assert found[0].text == f"text of id-{best[0]}"
    assert found[0].metadata == {"n": int(best[0])}


async def test_scores_at_the_ends(keeping: VectorStore) -> None:
    """The same direction scores 1, the opposite -1, and neither is ever beyond."""
    vector = directions(1)
    await keeping.upsert("ns", batch(["same", "opposite"], vectors=np.concatenate([vector * 3, -vector])))
    same, opposite = await keeping.search("ns", vector[0], 10)
    assert (same.id, opposite.id) == ("same", "opposite")
    assert [same.score, opposite.score] == pytest.approx([1.0, -1.0], abs=1e-5)
    assert same.score <= 1.0
    assert opposite.score >= -1.0


async def test_search_in_nothing_and_for_nothing(keeping: VectorStore) -> None:
    """An empty namespace has no matches, and a limit of 0 asks for none."""
    assert await keeping.search("ns", directions(1)[0], 5) == []
    await keeping.upsert("ns", batch(["a"]))
    assert await keeping.search("ns", directions(1)[0], 0) == []
    assert len(await keeping.search("ns", directions(1)[0], 5)) == 1


async def test_a_query_of_another_dimension_is_a_mismatch(keeping: VectorStore) -> None:
    """A query from another model gets an error, not a wrong answer."""
    await keeping.upsert("ns", batch(["a"]))
    with pytest.raises(StoreMismatch, match=str(DIMENSION)):
        await keeping.search("ns", np.ones(DIMENSION + 1, np.float32), 5)


async def test_metadata_and_text_come_back(keeping: VectorStore) -> None:
    """Strings of any script, numbers and truths come back as they went in, each as its own type."""
    metadata = {
        "s": "ünï '\" \n",
        "i": 2**53,
        "f": 0.1,
        "t": True,
        "": "",
        "_": 0,
        "$": "$",
        "rowvec_task": "x",
    }
    await keeping.upsert("ns", batch(["a"], metadata=[metadata], texts=["téxt\n'"]))
    found = (await keeping.search("ns", directions(1)[0], 1))[0]
    assert (dict(found.metadata), found.text) == (metadata, "téxt\n'")
    assert {name: type(v) for name, v in found.metadata.items()} == {n: type(v) for n, v in metadata.items()}


async def test_nothing_as_a_value(local: VectorStore) -> None:
    """None comes back as None, where the store takes it."""
    await local.upsert("ns", batch(["a"], metadata=[{"n": None}]))
    assert (await local.search("ns", directions(1)[0], 1))[0].metadata == {"n": None}


async def test_callers_at_once_all_land(keeping: VectorStore) -> None:
    """Many upserts at once: each is seen by its own caller as soon as it returns."""

    async def write(n: int) -> int:
        ids = numbered(50, first=50 * n)
        await keeping.upsert("ns", batch(ids))
        return len(await keeping.stamps("ns", ids))

    assert await asyncio.gather(*(write(n) for n in range(30))) == [50] * 30
    assert await keeping.count("ns") == 1_500


async def test_the_same_id_from_callers_at_once(keeping: VectorStore) -> None:
    """Callers that write the same ids at the same moment leave each once, whole from one of them."""
    tasks = {f"t{n}" for n in range(9)}
    calls = [batch(numbered(100), task=task, texts=[task] * 100) for task in sorted(tasks)]
    await asyncio.gather(*(keeping.upsert("ns", call) for call in calls))
    stamps = {stamp.id: stamp.task_id for stamp in await keeping.all_stamps("ns")}
    assert await ids_in(keeping) == sorted(numbered(100))
    matches = await keeping.search("ns", directions(1)[0], 100)
    assert {match.id: match.text for match in matches} == stamps
    assert tasks >= set(stamps.values())


async def test_a_cancelled_caller_harms_nobody(keeping: VectorStore) -> None:
    """Callers written together with one that went away still land."""
    calls = [asyncio.create_task(keeping.upsert("ns", batch(numbered(20, first=20 * n)))) for n in range(8)]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[3].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    survivors = [n for n, result in enumerate(results) if result is None]
    assert len(survivors) >= 6
    found = set(await ids_in(keeping))
    assert all(found.issuperset(numbered(20, first=20 * n)) for n in survivors)


async def test_one_bad_batch_among_good_ones(keeping: VectorStore) -> None:
    """A refused batch fails its own caller only."""
    bad = batch(["bad"], vectors=np.full((1, DIMENSION), np.nan, np.float32))
    calls = [
        keeping.upsert("ns", batch(numbered(5))),
        keeping.upsert("ns", bad),
        keeping.upsert("ns", batch(["c"])),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), InputRefused, type(None)]
    assert await keeping.count("ns") == 6


# LanceDB: on the disk, and shared by processes


async def test_lance_reopened_sees_everything(open_lance: Open) -> None:
    """What was written before the end of a process is there in the next one, with its dimension."""
    first = open_lance()
    await first.prepare("ns", DIMENSION)
    await first.upsert("ns", batch(numbered(100)))
    await first.close()
    second = open_lance()
    assert await ids_in(second) == sorted(numbered(100))
    with pytest.raises(StoreMismatch):
        await second.prepare("ns", DIMENSION * 2)


async def test_lance_readers_see_other_writers_at_once(open_lance: Open) -> None:
    """A reader that was open before sees upserts and deletions of another instance as they return."""
    writer, reader = open_lance(), open_lance()
    assert await reader.count("ns") == 0
    await writer.prepare("ns", DIMENSION)
    for n in range(5):
        await writer.upsert("ns", batch([f"id-{n}"]))
        assert await reader.count("ns") == n + 1
        assert [stamp.id for stamp in await reader.stamps("ns", [f"id-{n}"])] == [f"id-{n}"]
    await writer.delete("ns", ["id-0"])
    assert await reader.search("ns", directions(1)[0], 9) == await writer.search("ns", directions(1)[0], 9)
    assert await ids_in(reader) == numbered(4, first=1)


async def test_lance_two_instances_of_the_same_ids(open_lance: Open) -> None:
    """Two writers that do not know of each other leave each id once."""
    stores = [open_lance(), open_lance()]
    await asyncio.gather(*(store.prepare("ns", DIMENSION) for store in stores))
    for _ in range(5):
        await asyncio.gather(*(store.upsert("ns", batch(numbered(2_000))) for store in stores * 2))
        assert await ids_in(stores[0]) == sorted(numbered(2_000))


async def test_lance_opened_by_many_at_once(open_lance: Open) -> None:
    """Callers that meet a table nobody has opened yet share one, and so write in groups."""
    first = open_lance()
    await first.prepare("ns", DIMENSION)
    await first.close()
    store = open_lance()
    await asyncio.gather(*(store.upsert("ns", batch([f"id-{n}", "id"])) for n in range(40)))
    assert await ids_in(store) == sorted(["id", *(f"id-{n}" for n in range(40))])


WRITER = """
import asyncio, sys
import numpy as np
from rowvec.vectors import VectorBatch
from rowvec.vectorstores.lancedb import LanceDBStore

async def main(url, task, first):
    store = LanceDBStore.open(url, {})
    await store.prepare("ns", 16)
    for turn in range(8):
        ids = [f"id-{n}" for n in range(first, first + 2000)]
        vectors = np.full((2000, 16), turn + 1, np.float32)
        numbers = list(range(2000))
        await store.upsert("ns", VectorBatch(task, ids, ids, numbers, vectors, ids, [{}] * 2000))
        stamps = await store.stamps("ns", ids)
        assert len(stamps) == 2000, len(stamps)
    await store.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def writers(url: str, firsts: Sequence[int]) -> list[str]:
    """Runs one process for each first id, all at once; returns what they said on the error stream."""
    commands = [[sys.executable, "-c", WRITER, url, f"t{n}", str(first)] for n, first in enumerate(firsts)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    return [process.communicate(timeout=120)[1] for process in running]


async def test_lance_two_processes_of_the_same_ids(open_lance: Open, tmp_path: Path) -> None:
    """Processes that make one table and write the same ids at once leave each once, and say nothing."""
    said = await asyncio.to_thread(writers, f"lancedb://{tmp_path}/vectors", [0, 0, 1_000])
    assert said == ["", "", ""]
    store = open_lance()
    assert await ids_in(store) == sorted(numbered(3_000))
    assert await store.count("ns") == 3_000


async def test_lance_stays_small_on_the_disk(open_lance: Open, tmp_path: Path) -> None:
    """Hundreds of small writes do not leave a heap of fragments for the next write to read."""
    store = open_lance()
    await store.prepare("ns", DIMENSION)
    for n in range(130):
        await store.upsert("ns", batch([f"id-{n}"]))
    assert await store.count("ns") == 130
    assert len(list_files(tmp_path / "vectors/ns.lance/data")) < 2 * 130
    other: Any = open_lance()
    await other.count("ns")
    stats = await other._tables["ns"]._table.stats()
    assert stats["fragment_stats"]["num_fragments"] < 70


def list_files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_lance_refuses_a_table_of_another_program(open_lance: Open, tmp_path: Path) -> None:
    """A table with other columns is left alone and told apart from an empty namespace."""
    import lancedb

    connection = await lancedb.connect_async(str(tmp_path / "vectors"))
    await connection.create_table("ns", [{"title": "x"}])
    with pytest.raises(StoreMismatch, match="another program"):
        await open_lance().prepare("ns", DIMENSION)


async def test_lance_where_no_folder_can_be(tmp_path: Path) -> None:
    """A file where the folder should be is told in words."""
    from rowvec.errors import RetryLater

    (tmp_path / "vectors").write_text("a file")
    store = opened("lancedb", tmp_path / "vectors")
    with pytest.raises(RetryLater, match="vectors"):
        await store.ping()


@pytest.mark.parametrize("url", ["lancedb://", "lancedb", "/tmp/x"])
def test_lance_without_a_folder_is_refused(url: str) -> None:
    """The mistake is found when the store is opened."""
    with pytest.raises(NotConfigured, match="folder"):
        load("vector store", vectorstores.TABLE, "lancedb").open(url, {})


# The digest


async def digest_of(*batches: VectorBatch) -> int:
    store = DigestStore.open("digest", {})
    await store.prepare("ns", DIMENSION)
    for one in batches:
        await store.upsert("ns", one)
    return store.digest("ns")


async def test_the_digest_does_not_depend_on_order_or_batches() -> None:
    """The same vectors in other batches and another order have the same digest."""
    ids, vectors = numbered(100), directions(100)
    whole = await digest_of(batch(ids, vectors=vectors))
    parts = [batch(ids[n : n + 7], vectors=vectors[n : n + 7]) for n in range(0, 100, 7)]
    assert await digest_of(*reversed(parts)) == whole


async def test_the_digest_tells_a_changed_bit() -> None:
    """One bit of one vector, one id, two ids exchanged or one vector missing change the digest."""
    ids, vectors = numbered(4), directions(4)
    whole = await digest_of(batch(ids, vectors=vectors))
    turned = vectors.copy()
    turned.view(np.uint32)[2, 5] ^= 1
    others = [
        batch(ids, vectors=turned),
        batch([*ids[:3], "id-x"], vectors=vectors),
        batch([ids[1], ids[0], *ids[2:]], vectors=vectors),
        batch(ids[:3], vectors=vectors[:3]),
    ]
    assert whole not in [await digest_of(other) for other in others]


async def test_the_digest_store_keeps_nothing_else() -> None:
    """An id written twice counts twice, and no vector can be found, as the store says of itself."""
    store = DigestStore.open("digest", {})
    await store.prepare("ns", DIMENSION)
    await store.upsert("ns", batch(["a"]))
    await store.upsert("ns", batch(["a"]))
    assert await store.count("ns") == 2
    assert await store.all_stamps("ns") == []
    assert await store.search("ns", directions(1)[0], 5) == []
    assert await store.delete_task("ns", "t") == 0
