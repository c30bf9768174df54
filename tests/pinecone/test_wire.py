"""The messages written by hand are those protobuf would have written, and are read as it would read them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rowvec.errors import Unavailable
from rowvec.vectorstores.pinecone import replies, wire
from rowvec.vectorstores.pinecone.plane import Kept
from tests.pinecone.proto import message, plain

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
VALUE = TEXT | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(TEXT, max_size=5)
FIELDS = st.dictionaries(TEXT, VALUE, max_size=8)
IDS = st.lists(
    st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=1, max_size=512),
    min_size=1,
    max_size=5,
    unique=True,
)
FLOATS = st.floats(width=32, allow_nan=False)


@given(IDS, FIELDS, st.integers(1, 40), st.data())
def test_an_upsert_is_what_protobuf_reads(
    ids: list[str], fields: dict[str, Any], dimension: int, data: st.DataObject
) -> None:
    """Ids, every bit of the vectors, metadata of every kind, and the namespace come out as they went in."""
    vectors = data.draw(arrays(np.float32, (len(ids), dimension), elements=FLOATS))
    request = message("UpsertRequest").FromString(wire.upsert("ns", ids, vectors, [fields] * len(ids)))
    assert request.namespace == "ns"
    assert [vector.id for vector in request.vectors] == ids
    read = np.array([list(vector.values) for vector in request.vectors], np.float32)
    assert read.tobytes() == vectors.tobytes()
    assert all(plain(vector.metadata) == fields for vector in request.vectors)


@given(st.integers(0, 2**40))
def test_numbers_are_varints(number: int) -> None:
    """Lengths of any size are written as protobuf reads them."""
    assert replies._varint(wire.varint(number), 0) == (number, len(wire.varint(number)))


def test_rows_that_are_not_one_after_another_are_written_right() -> None:
    """Slices, other byte orders and other widths of numbers are no trap."""
    whole = np.arange(24, dtype=np.float64).reshape(4, 6) + 1
    odd: tuple[Any, ...] = (whole[::2, ::3], whole.astype(">f4"), np.asfortranarray(whole, np.float32))
    for vectors in odd:
        ids = [f"id-{n}" for n in range(len(vectors))]
        request = message("UpsertRequest").FromString(wire.upsert("", ids, vectors, [{}] * len(ids)))
        assert [list(vector.values) for vector in request.vectors] == vectors.tolist()


WANTED = {"rowvec_row_id": {"$in": ["a", "b"]}, "n": {"$ne": 1.5}}


def read(name: str, data: bytes) -> Any:
    return message(name).FromString(data)


def test_every_other_request_is_what_protobuf_reads() -> None:
    """Each field of each request arrives under its own number."""
    fetch = read("FetchRequest", wire.fetch("ns", ["a", "b"]))
    assert (fetch.namespace, list(fetch.ids)) == ("ns", ["a", "b"])
    matching = read("FetchByMetadataRequest", wire.fetch_matching("ns", WANTED, 500, "token"))
    assert (matching.namespace, matching.limit, matching.pagination_token) == ("ns", 500, "token")
    assert plain(matching.filter) == WANTED
    listing = read("ListRequest", wire.listing("ns", "row#", "token"))
    assert (listing.namespace, listing.prefix, listing.pagination_token) == ("ns", "row#", "token")
    delete = read("DeleteRequest", wire.delete("ns", ["a"]))
    assert (delete.namespace, list(delete.ids), delete.delete_all) == ("ns", ["a"], False)
    by_filter = read("DeleteRequest", wire.delete_matching("ns", WANTED))
    assert (by_filter.namespace, list(by_filter.ids), plain(by_filter.filter)) == ("ns", [], WANTED)
    count = read("UpdateRequest", wire.count_matching("ns", WANTED, {"t": "x"}))
    assert (count.namespace, count.dry_run, count.id) == ("ns", True, "")
    assert (plain(count.filter), plain(count.set_metadata)) == (WANTED, {"t": "x"})
    query = read("QueryRequest", wire.query("ns", np.array([0.5, -2], np.float32), 10, True))
    assert (query.namespace, query.top_k, query.include_metadata, query.include_values) == (
        "ns",
        10,
        True,
        False,
    )
    assert list(query.vector) == [0.5, -2]


def struct_of(fields: dict[str, Any]) -> Any:
    vector = message("Vector")()
    vector.metadata.update(fields)
    return vector.metadata


@given(st.dictionaries(TEXT.filter(bool), FIELDS, max_size=5), st.none() | TEXT.filter(bool))
def test_fetched_vectors_are_read_as_protobuf_wrote_them(found: dict[str, Any], token: str | None) -> None:
    """Ids and metadata of every kind; the values are stepped over."""
    reply = message("FetchResponse")(namespace="ns", usage={"read_units": 3})
    for id_, fields in found.items():
        reply.vectors[id_].id = id_
        reply.vectors[id_].values.extend([1.0, 2.0])
        reply.vectors[id_].metadata.update(fields)
    if token:
        reply.pagination.next = token
    page = replies.fetched(reply.SerializeToString(), 7)
    assert {kept.id: kept.fields for kept in page.kept} == found
    assert (page.next, page.seen) == (token, 7)


def test_other_replies_are_read_as_protobuf_wrote_them() -> None:
    """Matches with scores, pages of ids, counts of namespaces, counts of matches."""
    matches: list[dict[str, Any]] = [
        {"id": "a", "score": 0.5, "metadata": {"n": 1.0}},
        {"id": "b", "values": [1.0]},
    ]
    query = message("QueryResponse")(namespace="ns")
    for match in matches:
        scored = query.matches.add(
            id=match["id"], score=match.get("score", 0.0), values=match.get("values", [])
        )
        scored.metadata.update(match.get("metadata", {}))
    page = replies.queried(query.SerializeToString(), None)
    assert page.kept == [Kept("a", {"n": 1.0}, 0.5), Kept("b", {}, 0.0)]
    listed = message("ListResponse")(vectors=[{"id": "a"}, {"id": "b"}], pagination={"next": "t"})
    assert replies.listed(listed.SerializeToString()) == (["a", "b"], "t")
    assert replies.listed(b"") == ([], None)
    stats = message("DescribeIndexStatsResponse")(dimension=8, total_vector_count=5)
    stats.namespaces["ns"].vector_count = 300
    stats.namespaces["empty"].vector_count = 0
    assert replies.counts(stats.SerializeToString()) == {"ns": 300, "empty": 0}
    assert replies.matched(message("UpdateResponse")(matched_records=3).SerializeToString()) == 3
    assert replies.matched(b"") == 0


def test_a_reply_that_is_cut_is_no_answer() -> None:
    """Half a message is told apart from a whole one, and may be asked for again."""
    reply = message("FetchResponse")()
    reply.vectors["a"].id = "a"
    reply.vectors["a"].metadata.update({"text": "something long"})
    whole = reply.SerializeToString()
    for end in range(1, len(whole)):
        with pytest.raises(Unavailable, match="cut"):
            replies.fetched(whole[:end], None)
    with pytest.raises(Unavailable):
        replies.counts(struct.pack("<d", 1.0))
