"""The stand-in of Pinecone: its own library takes it for the real one, and its limits are Pinecone's."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from pinecone import Pinecone, RetryConfig
from pinecone.errors import ApiError, NotFoundError, PaymentRequiredError, UnauthorizedError
from pinecone.grpc import GrpcIndex

from standins.pinecone.settings import KEY
from standins.process import Standin, started
from tests.pinecone.proto import message

DIMENSION = 4
INDEXES = [
    {"name": "vectors", "dimension": DIMENSION},
    {"name": "documents", "dimension": DIMENSION, "field": "embedding", "texts": ["title"]},
]
USUAL: dict[str, Any] = {
    "indexes": INDEXES,
    "keys": [KEY],
    "account": "good",
    "units_left": None,
    "rates": {},
    "unlimited": False,
    "refuse": "",
    "visible_after": 0.0,
    "counted_after": 0.0,
    "keep_vectors": 1 << 30,
    "lenient": False,
}
ONCE = RetryConfig(max_retries=0)


@pytest.fixture(scope="module")
def process() -> Iterator[Standin]:
    with started("pinecone", **USUAL) as standin:
        yield standin


@pytest.fixture
def standin(process: Standin) -> Standin:
    process.set(**USUAL)
    process.reset()
    return process


@pytest.fixture
def client(standin: Standin) -> Iterator[Pinecone]:
    with Pinecone(api_key=KEY, host=standin.url, retry_config=ONCE) as client:
        yield client


@pytest.fixture(params=["rest", "grpc"])
def index(request: pytest.FixtureRequest, client: Pinecone) -> Iterator[Any]:
    """The vectors index as the official library speaks to it."""
    if request.param == "rest":
        with client.index("vectors") as index:
            yield index
    else:
        host = client.indexes.describe("vectors").host or ""
        with GrpcIndex(host=host, api_key=KEY, secure=False, retry_config=ONCE) as index:
            yield index


def vector(id_: str, *values: float, **metadata: Any) -> dict[str, Any]:
    return {"id": id_, "values": list(values or (1.0, 2.0, 3.0, 4.0)), "metadata": metadata}


def test_the_official_library_describes_both_kinds_of_index(client: Pinecone) -> None:
    """Names, hosts, dimensions and schemas are where the library looks for them."""
    vectors, documents = client.indexes.describe("vectors"), client.indexes.describe("documents")
    assert (vectors.dimension, vectors.metric, vectors.status.ready) == (DIMENSION, "cosine", True)
    assert sorted(documents.schema.fields) == ["embedding", "title"]
    assert {one.name for one in client.indexes.list()} == {"vectors", "documents"}
    with pytest.raises(NotFoundError):
        client.indexes.describe("nowhere")


def test_the_official_library_writes_reads_and_searches(index: Any) -> None:
    """Upsert, fetch, list, query with filter, stats, fetch by metadata and delete answer as Pinecone does."""
    metadata = {"s": "grün", "n": 1.5, "t": True, "l": ["p", "q"]}
    vectors = [vector(f"a{n}", n + 1, 0, 0, 1, **metadata) for n in range(5)]
    assert index.upsert(vectors=vectors, namespace="ns").upserted_count == 5
    found = index.fetch(ids=["a1", "nowhere"], namespace="ns").vectors
    assert (list(found), found["a1"].values, found["a1"].metadata) == (["a1"], [2.0, 0.0, 0.0, 1.0], metadata)
    matches = index.query(
        vector=[1, 0, 0, 1], top_k=2, namespace="ns", filter={"l": {"$in": ["q"]}}, include_metadata=True
    ).matches
    assert [(match.id, match.metadata) for match in matches] == [("a0", metadata), ("a1", metadata)]
    assert matches[0].score == pytest.approx(1.0)
    pages = [[item.id for item in page.vectors] for page in index.list(prefix="a", limit=2, namespace="ns")]
    assert pages == [["a0", "a1"], ["a2", "a3"], ["a4"]]
    stats = index.describe_index_stats()
    assert (stats.dimension, stats.total_vector_count, stats.namespaces["ns"].vector_count) == (
        DIMENSION,
        5,
        5,
    )
    page = index.fetch_by_metadata(filter={"n": {"$gt": 1}}, limit=3, namespace="ns")
    assert (sorted(page.vectors), page.pagination is not None) == (["a0", "a1", "a2"], True)
    assert (
        index.update(
            filter={"t": True}, set_metadata={"t": True}, dry_run=True, namespace="ns"
        ).matched_records
        == 5
    )
    index.delete(ids=["a0"], namespace="ns")
    index.delete(filter={"s": {"$ne": "blau"}}, namespace="ns")
    assert index.describe_index_stats().total_vector_count == 0


def test_the_official_library_and_the_documents_api(client: Pinecone, standin: Standin) -> None:
    """Documents are written, fetched, searched, listed and deleted, and their log numbers are told."""
    documents = client.index("documents").documents
    rows = [{"_id": f"d{n}", "embedding": [n + 1.0, 0, 0, 1], "title": "hello", "n": n} for n in range(3)]
    written = documents.upsert(namespace="ns", documents=rows)
    assert written.response_info is not None
    assert (written.upserted_count, written.response_info.lsn_committed) == (3, 1)
    fetched = documents.fetch(namespace="ns", ids=["d1"]).documents["d1"]
    assert (fetched.title, fetched.n, fetched.embedding) == ("hello", 1.0, [2.0, 0.0, 0.0, 1.0])
    found = documents.search(
        namespace="ns",
        top_k=1,
        score_by=[{"type": "dense_vector", "fields": ["embedding"], "values": [1, 0, 0, 1]}],
        include_fields=["title"],
    )
    assert [(match.id, match.title) for match in found.matches] == [("d0", "hello")]
    assert found.response_info is not None and found.response_info.is_reconciled(1)
    assert [document.id for document in documents.list(namespace="ns", limit=2)] == ["d0", "d1", "d2"]
    assert documents.delete(namespace="ns", filter={"n": {"$gte": 1}}).matched_records == 2
    assert standin.ask("/_standin/summary", {"index": "documents", "namespace": "ns"})["vectors"] == 1


def test_each_api_is_refused_by_the_other_kind_of_index(client: Pinecone) -> None:
    """A document index takes no vectors, an index of vectors no documents."""
    with pytest.raises(ApiError, match="document index"):
        client.index("documents").upsert(vectors=[vector("a")], namespace="ns")
    with pytest.raises(ApiError, match="vectors API"):
        client.index("vectors").documents.upsert(namespace="ns", documents=[{"_id": "a", "x": "y"}])


REFUSED: list[tuple[list[dict[str, Any]], str]] = [
    ([vector("a", 1, 2, 3)], "Vector dimension 3 does not match the dimension of the index 4"),
    ([vector("a", 0, 0, 0, 0)], "at least one non-zero value. Vector ID 'a'"),
    ([vector("a", x="y" * 41_000)], "40960 bytes"),
    ([vector("a", **{"$x": 1})], "must not begin with"),
    ([vector(f"id-{n}") for n in range(1_001)], "1 to 1000 records"),
]


@pytest.mark.parametrize(("vectors", "said"), REFUSED)
def test_what_pinecone_refuses(index: Any, vectors: list[dict[str, Any]], said: str) -> None:
    """One bad record fails its request, and nothing of it lands."""
    good = vector("good")
    with pytest.raises(ApiError) as refusal:
        index.upsert(vectors=[good, *vectors], namespace="ns")
    assert said in str(refusal.value)
    assert refusal.value.status_code == 400
    assert index.describe_index_stats().total_vector_count == 0


def test_a_marked_record_fails_its_request_without_a_word_which(index: Any, standin: Standin) -> None:
    """The mark may be in the id or in the metadata."""
    standin.set(refuse="poison")
    for bad in (vector("poison-1"), vector("second", x="with poison in it")):
        with pytest.raises(ApiError) as refusal:
            index.upsert(vectors=[vector("good"), bad], namespace="ns")
        assert bad["id"] not in str(refusal.value)
    assert index.upsert(vectors=[vector("good")], namespace="ns").upserted_count == 1


def post(standin: Standin, path: str, body: bytes, **headers: str) -> tuple[int, str, dict[str, str]]:
    """The status, the body and the headers of an answer."""
    given = {"Api-Key": KEY, "X-Pinecone-Api-Version": "2025-10"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    request = urllib.request.Request(standin.url + path, body, {k: v for k, v in given.items() if v})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def test_forms_of_refusals(standin: Standin) -> None:
    """401 is a bare word, other refusals of the vectors API hold code, message and details."""
    body = json.dumps({"vectors": [vector("a", 1)], "namespace": "ns"}).encode()
    assert post(standin, "/vectors/upsert", body, Api_Key="wrong")[:2] == (401, "Unauthorized")
    status, text, _ = post(standin, "/vectors/upsert", body)
    assert (status, json.loads(text)["code"], json.loads(text)["details"]) == (400, 3, [])
    status, text, _ = post(
        standin, "/namespaces/ns/documents/upsert", b"{}", X_Pinecone_Api_Version="2026-07"
    )
    assert (status, json.loads(text)["error"]["code"]) == (400, "INVALID_ARGUMENT")
    status, text, _ = post(standin, "/vectors/upsert", body, X_Pinecone_Api_Version="")
    assert (status, "2025-10" in text) == (400, True)
    nested = json.dumps({"vectors": [vector("a", x={"y": None})], "namespace": "ns"}).encode()
    status, text, _ = post(standin, "/vectors/upsert", nested)
    assert (status, "string, number, boolean or list of strings" in text) == (400, True)
    status, text, _ = post(standin, "/vectors/upsert", b"[" * 3_000_000)
    assert (status, json.loads(text)["code"]) == (400, 11)
    status, text, _ = post(standin, "/vectors/delete", b'{"ids":["a"],"namespace":"nowhere"}')
    assert (status, json.loads(text)["code"]) == (404, 5)


def test_a_library_of_last_year_is_taken_when_told_so(standin: Standin) -> None:
    """An older version of the API, and more JSON than 2 MB, are refused unless the stand-in is lenient."""
    long = [f"{1 / 3 + n:.40000f}" for n in range(DIMENSION)]
    vectors = ",".join(f'{{"id":"{n}","values":[{",".join(long)}]}}' for n in range(20))
    body = f'{{"namespace":"ns","vectors":[{vectors}]}}'.encode()
    old = {"X_Pinecone_Api_Version": "2025-04"}
    assert [post(standin, "/vectors/upsert", body, **way)[0] for way in (old, {})] == [400, 400]
    standin.set(lenient=True)
    status, text, _ = post(standin, "/vectors/upsert", body, **old)
    assert (status, json.loads(text)) == (200, {"upsertedCount": 20})


def test_the_account_s_troubles(index: Any, standin: Standin) -> None:
    """Payment, quota, a used-up month and a revoked key are told as Pinecone tells them."""
    troubles: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"account": "payment due"}, PaymentRequiredError if is_rest(index) else Exception, "past due"),
        ({"account": "storage full"}, ApiError, "max storage allowed"),
        ({"units_left": 0}, ApiError, "write unit limit for the current month"),
        ({"keys": ["another"]}, UnauthorizedError, "Unauthorized"),
    ]
    for trouble, error, said in troubles:
        standin.set(**USUAL)
        standin.set(**trouble)
        with pytest.raises(error, match=said):
            index.upsert(vectors=[vector("a")], namespace="ns")


def is_rest(index: Any) -> bool:
    return not isinstance(index, GrpcIndex)


def test_rates_are_those_of_pinecone(standin: Standin) -> None:
    """A namespace has so many requests a second; more are told to wait, and other namespaces are free."""
    standin.set(rates={"upsert": 0.01})
    bodies = [json.dumps({"vectors": [vector("a")], "namespace": name}).encode() for name in ("ns", "other")]
    assert post(standin, "/vectors/upsert", bodies[0])[0] == 200
    status, text, headers = post(standin, "/vectors/upsert", bodies[0])
    assert (status, json.loads(text)["code"]) == (429, 8)
    assert "per second for namespace ns" in text
    assert 0 < float(headers["retry-after"]) <= 100
    assert post(standin, "/vectors/upsert", bodies[1])[0] == 200
    request = message("UpsertRequest")(namespace="ns", vectors=[{"id": "a", "values": [1, 2, 3, 4]}])
    with pytest.raises(grpc.RpcError) as refusal:
        call(standin, "Upsert", request.SerializeToString())
    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "retry-after" in dict(refusal.value.trailing_metadata())
    assert standin.counters()["upsert refused 429"] == 2


def test_writes_are_seen_later_in_their_order(standin: Standin) -> None:
    """Reads say how far they see; a write's number is not reached before the write is seen."""
    standin.set(visible_after=0.2, unlimited=True)
    body = json.dumps({"vectors": [vector("a")], "namespace": "ns"}).encode()
    _, _, headers = post(standin, "/vectors/upsert", body)
    assert headers["x-pinecone-request-lsn"] == "1"
    query = json.dumps({"vector": [1, 0, 0, 0], "topK": 1, "namespace": "ns"}).encode()
    seen = -1
    while seen < 1:
        _, text, headers = post(standin, "/query", query)
        seen = int(headers["x-pinecone-max-indexed-lsn"])
        assert bool(json.loads(text)["matches"]) == (seen >= 1)
    assert standin.ask("/_standin/summary", {"namespace": "ns"})["vectors"] == 1


def test_stats_come_later_still(index: Any, standin: Standin) -> None:
    """The count may lag behind what reads see."""
    standin.set(counted_after=3600)
    index.upsert(vectors=[vector("a")], namespace="ns")
    assert index.fetch(ids=["a"], namespace="ns").vectors
    assert index.describe_index_stats().total_vector_count == 0


def test_what_landed_is_the_same_by_every_door(client: Pinecone, index: Any, standin: Standin) -> None:
    """The digests of a vector and of its metadata do not depend on the way it came, nor the sum on order."""
    rows = [vector(f"id-{n}", n + 0.1, n + 0.2, 3, 4, n=n, s="x") for n in range(20)]
    index.upsert(vectors=rows, namespace="one")
    index.upsert(vectors=rows[10:], namespace="two")
    index.upsert(vectors=rows[:10], namespace="two")
    documents = [{"_id": r["id"], "embedding": r["values"], **r["metadata"]} for r in rows]
    client.index("documents").documents.upsert(namespace="one", documents=documents)
    places = [("vectors", "one"), ("vectors", "two"), ("documents", "one")]
    summaries = [standin.ask("/_standin/summary", {"index": i, "namespace": n}) for i, n in places]
    landed = [standin.ask("/_standin/landed", {"index": i, "namespace": n}) for i, n in places]
    assert landed[0] == landed[1] == landed[2]
    assert [summary["vectors"] for summary in summaries] == [20, 20, 20]
    assert len({summary["digest"] for summary in summaries}) == 1
    index.upsert(vectors=[vector("id-3", 9, 9, 9, 9, n=3, s="x")], namespace="one")
    changed = standin.ask("/_standin/landed", {"namespace": "one"})
    assert [id_ for id_ in changed if changed[id_] != landed[0][id_]] == ["id-3"]


def test_vectors_beyond_what_is_kept_leave_their_digests(index: Any, standin: Standin) -> None:
    """What is bounded is what can be read again (zeros, then), not what can be asked of it."""
    standin.set(keep_vectors=16 * 10)
    index.upsert(vectors=[vector(f"id-{n}") for n in range(10)], namespace="ns")
    index.upsert(vectors=[vector("more")], namespace="ns")
    found = index.fetch(ids=["id-0", "more"], namespace="ns").vectors
    assert (found["id-0"].values, found["more"].values) == ([1, 2, 3, 4], [0, 0, 0, 0])
    landed = standin.ask("/_standin/landed", {"namespace": "ns"})
    assert landed["more"] == landed["id-0"]


def call(standin: Standin, method: str, request: bytes) -> Any:
    """One gRPC call of bytes, for what the library would not send."""
    with grpc.insecure_channel(standin.url.removeprefix("http://")) as channel:
        stub: Callable[..., Any] = channel.unary_unary(f"/VectorService/{method}")
        return stub(request, metadata=(("api-key", KEY), ("x-pinecone-api-version", "2025-10")), timeout=10)


def test_grpc_refuses_what_is_no_number_and_what_is_too_large(standin: Standin) -> None:
    """NaN comes as far as the server over gRPC; 2 MB is the limit there too."""
    request = message("UpsertRequest")(namespace="ns")
    request.vectors.add(id="a", values=[1.0, 2.0, 3.0, float("nan")])
    with pytest.raises(grpc.RpcError) as refusal:
        call(standin, "Upsert", request.SerializeToString())
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    large = message("UpsertRequest")(namespace="n" * 2_200_000)
    with pytest.raises(grpc.RpcError) as refusal:
        call(standin, "Upsert", large.SerializeToString())
    assert refusal.value.code() is grpc.StatusCode.OUT_OF_RANGE
    with pytest.raises(grpc.RpcError) as refusal:
        call(standin, "Upsert", b"\xff\xff\xff")
    assert refusal.value.code() is grpc.StatusCode.INTERNAL


def test_messages_are_read_as_protobuf_reads_them(standin: Standin) -> None:
    """An upsert of protobuf's own making lands with every bit, and a fetch of it parses to the same."""
    values = np.random.default_rng(0).standard_normal((50, DIMENSION)).astype(np.float32)
    request = message("UpsertRequest")(namespace="ns")
    for n, row in enumerate(values):
        added = request.vectors.add(id=f"id-{n}", values=row.tolist())
        added.metadata.update({"n": n, "l": ["a", "b"], "t": n % 2 == 0, "long": "x" * 300})
    reply = message("UpdateResponse").FromString(call(standin, "Upsert", request.SerializeToString()))
    assert reply.matched_records == 50
    asked = message("FetchRequest")(namespace="ns", ids=[f"id-{n}" for n in range(50)])
    fetched = message("FetchResponse").FromString(call(standin, "Fetch", asked.SerializeToString()))
    assert all(fetched.vectors[vector.id] == vector for vector in request.vectors)
