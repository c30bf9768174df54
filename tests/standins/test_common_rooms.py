"""What every stand-in is made of behaves as its words say."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins.buckets import Bucket, wait_for_all
from standins.faults import Faults
from standins.latency import Latency
from standins.web import Answer, Hang, Request, Vanish, listen, start

pytestmark = pytest.mark.anyio


async def handle(request: Request) -> Answer:
    if request.path == "/hang":
        raise Hang
    if request.path == "/vanish":
        raise Vanish
    if request.path == "/cut":
        return Answer(200, [b"x" * 1000], sent=0.5)
    said = f"{request.method} {request.path}?{request.query} {request.headers.get('x-a')} ".encode()
    return Answer(200, [said, request.body], {"x-b": "c"})


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    listener = listen(0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with await start(handle, listener), httpx2.AsyncClient(base_url=url, trust_env=False) as opened:
        yield opened


async def test_a_request_comes_in_whole_and_an_answer_goes_out_whole(client: httpx2.AsyncClient) -> None:
    """Bodies of megabytes, sent at once or in pieces, over one connection."""
    body = bytes(range(256)) * 12_000

    async def pieces() -> AsyncIterator[bytes]:
        for start_at in range(0, len(body), 100_000):
            yield body[start_at : start_at + 100_000]

    for content in (b"", body, pieces()):
        answer = await client.post("/a/b?c=d", content=content, headers={"X-A": "e"})
        head, _, echoed = answer.content.partition(b" e ")
        assert (answer.status_code, head, answer.headers["x-b"]) == (200, b"POST /a/b?c=d", "c")
        assert echoed in (b"", body)


async def test_an_answer_is_cut_where_it_was_told_to_be(client: httpx2.AsyncClient) -> None:
    """The caller sees a body that is shorter than was said, and the next answer is well."""
    with pytest.raises(httpx2.RemoteProtocolError, match="500 bytes, expected 1000"):
        await client.get("/cut")
    assert (await client.get("/")).status_code == 200


async def test_an_answer_never_comes(client: httpx2.AsyncClient) -> None:
    """Nothing at all, until the caller has had enough; or a closed connection at once."""
    with pytest.raises(httpx2.ReadTimeout):
        await client.get("/hang", timeout=0.2)
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.get("/vanish")


async def test_what_is_no_http_ends_the_connection(client: httpx2.AsyncClient) -> None:
    """And only that one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(b"hello\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    assert (await client.get("/")).status_code == 200


async def test_a_bucket_gives_what_came_in() -> None:
    """Full at first; then only what flows in, and never more than it holds."""
    bucket = Bucket(10.0, 2.0)
    assert bucket.wait(20, 0.0) == 0.0 and bucket.wait(20.1, 0.0) == math.inf
    bucket.take(20, 0.0)
    assert (bucket.left(0.0), bucket.full_in(0.0)) == (0.0, 2.0)
    assert bucket.wait(5, 0.0) == pytest.approx(0.5)
    assert bucket.left(1.0) == pytest.approx(10.0) and bucket.left(100.0) == 20.0


async def test_a_bucket_without_a_rate_never_says_no() -> None:
    """Whatever is taken."""
    bucket = Bucket(None, 1.0)
    bucket.take(1e12, 0.0)
    assert bucket.wait(1e12, 0.0) == 0.0


async def test_all_or_nothing_is_taken() -> None:
    """Where one bucket says no, the other keeps what it has."""
    requests, tokens = Bucket(1.0, 1.0), Bucket(10.0, 1.0)
    assert wait_for_all([(requests, 1), (tokens, 6)], 0.0) == (0.0, None)
    wait, full = wait_for_all([(requests, 1), (tokens, 6)], 0.5)
    assert wait == pytest.approx(0.5)
    assert full is requests
    assert tokens.left(0.5) == pytest.approx(9.0)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.1, 25.0)), max_size=60))
async def test_no_window_gives_more_than_the_rate_and_what_was_in_it(
    steps: list[tuple[float, float]],
) -> None:
    """Whoever asks how often: over any time, at most the rate and one full bucket is given."""
    bucket, now, given_at = Bucket(10.0, 2.0), 0.0, [(0.0, 0.0)]
    for pause, amount in steps:
        now += pause
        if bucket.wait(amount, now) == 0.0:
            bucket.take(amount, now)
            given_at.append((now, amount))
    for begin, _ in given_at:
        window = sum(amount for moment, amount in given_at if moment >= begin)
        assert window <= 20.0 + 10.0 * (now - begin) + 1e-6


async def test_latency_has_the_mean_it_was_given() -> None:
    """With any spread; and a time of nothing is nothing."""
    dice = random.Random(1)
    drawn = [Latency(0.25, 0.5).draw(dice) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(0.25, rel=0.02)
    assert [Latency(0.25).draw(dice) for _ in range(3)] == pytest.approx([0.25] * 3)
    assert Latency().draw(dice) == 0.0


async def test_faults_come_as_often_as_they_should() -> None:
    """The script first, then by their shares."""
    faults = Faults(["a", "b"], {"a": 0.1, "b": 0.3}, ["b", None])
    dice = random.Random(1)
    assert [faults.draw(dice), faults.draw(dice)] == ["b", None]
    drawn = [faults.draw(dice) for _ in range(20_000)]
    assert drawn.count("a") / 20_000 == pytest.approx(0.1, abs=0.01)
    assert drawn.count("b") / 20_000 == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("shares", [{"c": 0.1}, {"a": -0.1}, {"a": 0.6, "b": 0.6}])
async def test_faults_that_make_no_sense_are_refused(shares: dict[str, float]) -> None:
    """Unknown ones, and shares that are none."""
    with pytest.raises(ValueError, match="fault"):
        Faults(["a", "b"], shares)
