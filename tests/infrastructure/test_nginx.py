"""nginx with the deployed file, in front of the running service."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.http_service import Running, serve, uvicorn
from tests.infrastructure.proxy import NAME, Proxy, proxy
from tests.servers.redis import RedisServer

KEY = secrets.token_hex(32)


@pytest.fixture(scope="module")
def service(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Without a worker: its doorbell rings in an empty house, so that a task waits as long as one looks."""
    nobody = {"BROKER_URL": redis_server.url, "API_KEYS": KEY}
    with serve(uvicorn(), tmp_path_factory.mktemp("service"), **nobody) as running:
        yield running


@pytest.fixture
def nginx(service: Running, tmp_path: Path) -> Iterator[Proxy]:
    with proxy(service.url, tmp_path / "nginx") as it:
        yield it


def uploaded(client: httpx2.Client, rows: int) -> str:
    table = "id,text\n" + "".join(f"{n},row {n} {'x' * 100}\n" for n in range(rows))
    answer = client.post("/api/v1/files", content=table.encode(), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["file_id"])


def test_calls_go_through(nginx: Proxy) -> None:
    """A table of a megabyte, a task of it and its status; the service learns that its caller came by TLS."""
    with nginx.client(key=KEY) as client:
        upload = uploaded(client, 10_000)
        sent = client.post("/api/v1/process", json={"data_source": "upload", "file_id": upload})
        assert sent.status_code == 202
        assert client.get(sent.headers["location"]).json()["status"] == "pending"
        assert "strict-transport-security" in client.get("/livez").headers


def test_the_page_sends_a_large_table(nginx: Proxy) -> None:
    """Through the form of the dashboard, whose bodies are small otherwise."""
    with nginx.client(key=KEY) as client:
        client.headers["Origin"] = f"https://{NAME}"
        assert client.post("/sign-in", data={"key": KEY}).status_code == 303
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/new").text)
        assert found
        sent = client.post(
            "/new/upload", data={"csrf": found[1]}, files={"file": ("t.csv", b"id,text\n" * 20_000)}
        )
        assert sent.status_code == 201, sent.text


def test_plain_http_is_sent_to_tls(nginx: Proxy) -> None:
    """With the path, and the method kept."""
    answer = httpx2.post(f"http://127.0.0.1:{nginx.plain}/api/v1/process?x=1", headers={"Host": NAME})
    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{NAME}/api/v1/process?x=1")


def test_events_arrive_at_once(nginx: Proxy) -> None:
    """The first event of a task that waits for ever is there while the stream is open."""
    with nginx.client(key=KEY) as client:
        upload = uploaded(client, 10)
        task = client.post("/api/v1/process", json={"data_source": "upload", "file_id": upload}).json()[
            "task_id"
        ]
        with client.stream("GET", f"/api/v1/tasks/{task}/events") as stream:
            assert (
                next(line for line in stream.iter_lines() if line.startswith("event:")) == "event: progress"
            )


def test_a_burst_of_one_key_is_held_back(tmp_path: Path) -> None:
    """With a problem that says when to come again; another key is let through meanwhile."""

    def ask(client: httpx2.Client) -> httpx2.Response:
        return client.get("/api/v1/tasks")

    with (
        proxy("http://127.0.0.1:1", tmp_path / "nginx") as it,
        it.client(key="one") as one,
        it.client(key="other") as other,
        ThreadPoolExecutor(16) as pool,
    ):
        burst = [pool.submit(ask, one) for _ in range(600)]
        answers = [sent.result() for sent in burst]
        refused = [answer for answer in answers if answer.status_code == 429]
        # Let through, they meet a service that is away.
        assert {answer.status_code for answer in answers} == {429, 503}
        assert refused[0].headers["retry-after"] == "1"
        assert refused[0].headers["content-type"] == "application/problem+json"
        assert refused[0].json()["status"] == 429
        assert ask(other).status_code == 503


def test_too_large_a_body_is_refused_unread(nginx: Proxy) -> None:
    """Outside of uploads 64 KiB are the most."""
    with nginx.client(key=KEY) as client:
        answer = client.post(
            "/api/v1/process", content=b" " * 70_000, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 413
        assert answer.json()["detail"].endswith("POST /api/v1/files.")


def test_another_name_is_refused(nginx: Proxy) -> None:
    """In the handshake, in the header behind the right handshake, and over plain HTTP."""
    with (
        nginx.client(name="evil.example") as client,
        pytest.raises(httpx2.ConnectError, match="UNRECOGNIZED_NAME"),
    ):
        client.get("/livez")
    with nginx.client(asked="evil.example") as client:
        assert refused(client, "/livez")
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{nginx.plain}", headers={"Host": "evil.example"}
    ) as client:
        assert refused(client, "/livez")


def refused(client: httpx2.Client, path: str) -> bool:
    """No answer, or that this name is served elsewhere."""
    try:
        return client.get(path).status_code == 421
    except httpx2.RemoteProtocolError:
        return True


def test_no_key_is_in_the_log(nginx: Proxy) -> None:
    """Neither that of a header nor one that somebody put into the address."""
    with nginx.client(key=KEY) as client:
        client.get("/api/v1/tasks", params={"key": KEY})
        written = ""
        deadline = time.monotonic() + 10
        while "/api/v1/tasks" not in written and time.monotonic() < deadline:
            written = (nginx.folder / "vectordb-access.log").read_text()
    assert "/api/v1/tasks" in written
    assert KEY not in written


def test_metrics_are_not_passed_on_to_others(nginx: Proxy) -> None:
    """The file lets this host in; here the rule itself is looked at: everybody else is denied."""
    text = (nginx.folder / "vectordb-api.conf").read_text()
    block = text[text.index("location = /metrics") :]
    assert block.index("allow ::1;") < block.index("deny all;") < block.index("proxy_pass")


def test_a_service_that_is_away_is_told_as_such(tmp_path: Path) -> None:
    """503 with a time to come again, as a problem."""
    with proxy("http://127.0.0.1:1", tmp_path / "nginx") as it, it.client(key=KEY) as client:
        answer = client.get("/api/v1/tasks")
        assert (answer.status_code, answer.json()["status"]) == (503, 503)
        assert answer.headers["retry-after"] == "5"
