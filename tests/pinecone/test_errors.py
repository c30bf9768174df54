"""What Pinecone says no with becomes one error of ours, whatever the way it came."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rowvec.errors import (
    CredentialsRefused,
    InputRefused,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    RowvecError,
    StoreMismatch,
    Unavailable,
)
from rowvec.vectorstores.pinecone import PineconeStore, errors
from standins.process import Standin
from tests.pinecone.kit import batch, directions, ids_in, numbered

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("trouble", "error", "said"),
    [
        ({"account": "payment due"}, QuotaExhausted, "past due"),
        ({"account": "storage full"}, QuotaExhausted, "max storage"),
        ({"account": "forbidden"}, CredentialsRefused, "permission"),
        ({"units_left": 0}, QuotaExhausted, "current month"),
        ({"keys": ["pcsk_new"]}, CredentialsRefused, "PINECONE_API_KEY"),
        ({"refuse": "id-7"}, InputRefused, "cannot be stored"),
        ({"faults": {"unavailable": 1}}, Unavailable, "writing 10"),
        ({"faults": {"internal": 1}}, Unavailable, "writing 10"),
        ({"faults": {"cut": 1}}, Unavailable, "Pinecone"),
    ],
)
async def test_each_trouble_has_its_meaning(
    store: PineconeStore, standin: Standin, trouble: dict[str, Any], error: type[Exception], said: str
) -> None:
    """Pause, retry or reject: the class says it, the message says what Pinecone said; later all is well."""
    await store.upsert("ns", batch(["before"]))
    standin.set(**trouble)
    with pytest.raises(RowvecError) as raised:
        await store.upsert("ns", batch(numbered(10)))
    assert type(raised.value) is error
    assert said in raised.value.message
    standin.set(account="good", units_left=None, keys=["pcsk_standin"], refuse="", faults={})
    await store.upsert("ns", batch(numbered(10)))
    assert await store.count("ns") == 11


async def test_too_fast_is_told_with_the_time_to_wait(store: PineconeStore, standin: Standin) -> None:
    """A limit of the second is weather that says when it is over; it is no quota."""
    standin.set(unlimited=False, rates={"upsert": 0.5})
    with pytest.raises(RateLimited, match="per second") as refusal:
        for n in range(3):
            await store.upsert("ns", batch([f"id-{n}"]))
    assert refusal.value.retry_after is not None
    assert 0 < refusal.value.retry_after <= 2


async def test_all_writers_of_a_namespace_wait_together(store: PineconeStore, standin: Standin) -> None:
    """After a 429 nothing more is sent there until its time is over; other namespaces go on."""
    await store.prepare("ns", 8)
    standin.set(unlimited=False, rates={"upsert": 0.4})
    await store.upsert("ns", batch(["a"]))
    with pytest.raises(RateLimited):
        await store.upsert("ns", batch(["b"]))
    standin.set(unlimited=True)
    waiting = [asyncio.create_task(store.upsert("ns", batch([id_]))) for id_ in "cde"]
    await store.upsert("other", batch(["f"]))
    assert standin.counters()["upsert"] == 3
    assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert await ids_in(store) == ["a", "c", "d", "e"]


async def test_reading_too_fast(store: PineconeStore, standin: Standin) -> None:
    """Reads have limits of their own."""
    await store.upsert("ns", batch(["a"]))
    standin.set(unlimited=False, rates={"fetch": 1, "query": 1})
    with pytest.raises(RateLimited):
        for _ in range(3):
            await store.stamps("ns", ["a"])
    with pytest.raises(RateLimited):
        for _ in range(3):
            await store.search("ns", directions(1)[0], 1)


@pytest.mark.parametrize("fault", ["hang", "done-hang"])
async def test_a_call_that_is_never_answered_has_an_end(
    store: PineconeStore, standin: Standin, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call has a deadline; what was done though nobody heard of it is done once when repeated."""
    for room in ("http", "grpc"):
        monkeypatch.setattr(f"rowvec.vectorstores.pinecone.{room}.DEADLINE", 0.3)
    await store.prepare("ns", 8)
    standin.set(script=[fault])
    with pytest.raises(Unavailable):
        await store.upsert("ns", batch(numbered(5)))
    await store.upsert("ns", batch(numbered(5)))
    assert await ids_in(store) == numbered(5)


async def test_done_but_told_otherwise(store: PineconeStore, standin: Standin) -> None:
    """A write that landed under a 503 is weather; repeated, it leaves each vector once."""
    standin.set(script=["done-unavailable"])
    with pytest.raises(Unavailable):
        await store.upsert("ns", batch(numbered(5)))
    assert standin.ask("/_standin/summary", where(store))["vectors"] == 5
    await store.upsert("ns", batch(numbered(5)))
    assert standin.ask("/_standin/summary", where(store)) | {"digest": ""} == {
        "vectors": 5,
        "upserted": 10,
        "digest": "",
    }


def where(store: PineconeStore) -> dict[str, str]:
    return {"index": store._connection._access.name, "namespace": "ns"}


async def test_reads_in_bad_weather(store: PineconeStore, standin: Standin) -> None:
    """Every kind of read and deletion says that it may be asked again."""
    await store.upsert("ns", batch(["a"]))
    standin.set(faults={"unavailable": 1})
    calls = [
        lambda: store.stamps("ns", ["a"]),
        lambda: store.all_stamps("ns"),
        lambda: store.delete("ns", ["a"]),
        lambda: store.delete_task("ns", "t"),
        lambda: store.count("ns"),
        lambda: store.search("ns", directions(1)[0], 1),
        lambda: store.catch_up("ns"),
        store.ping,
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            await call()


async def test_the_dimension_of_another_index(store: PineconeStore, standin: Standin) -> None:
    """An index that was made anew with another dimension fails the task, and no row is blamed."""
    await store.prepare("ns", 8)
    name = where(store)["index"]
    field = {"field": "embedding"} if name == "documents" else {}
    standin.set(indexes=[{"name": name, "dimension": 9, **field}])
    with pytest.raises(StoreMismatch, match="9"):
        await store.upsert("ns", batch(numbered(3)))


# Forms of answers that no stand-in gives


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"code":3,"message":"bad"}', InputRefused),
        (400, b"Invalid API version", StoreMismatch),
        (400, b'{"code":11,"message":"Error, message length too large: found 3 bytes"}', RequestTooLarge),
        (401, b"Unauthorized", CredentialsRefused),
        (401, b'"Invalid API Key"', CredentialsRefused),
        (402, b'{"error":{"code":"PAYMENT_REQUIRED","message":"Pay."},"status":402}', QuotaExhausted),
        (403, b"Forbidden", CredentialsRefused),
        (403, b'{"error":{"code":"QUOTA_EXCEEDED","message":"max namespaces allowed"}}', QuotaExhausted),
        (404, b"", StoreMismatch),
        (409, b'{"code":6,"message":"NAME_IN_USE_BY_ALIAS"}', StoreMismatch),
        (412, b'{"error":{"code":"FAILED_PRECONDITION","message":"an alias"}}', StoreMismatch),
        (413, b"", RequestTooLarge),
        (422, b'{"error":{"message":"missing field"}}', InputRefused),
        (429, b"Too Many Requests", RateLimited),
        (
            429,
            b'{"code":8,"message":"You\'ve reached your write unit limit for the current month."}',
            QuotaExhausted,
        ),
        (500, b"<html>", Unavailable),
        (503, b"\xff\xfe", Unavailable),
        (302, b"", Unavailable),
    ],
)
def test_every_status_has_its_meaning(status: int, body: bytes, error: type[RowvecError]) -> None:
    """Bodies may be JSON of the one or the other form, bare text, or nothing."""
    assert type(errors.of_http("doing something", status, {}, body)) in (error, errors.NotThere)
    assert isinstance(errors.of_http("doing something", status, {}, body), error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"grpc-retry-pushback-ms": "1500"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """In seconds, in gRPC's milliseconds, or not at all."""
    error = errors.of_http("doing something", 429, headers, b"")
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds
