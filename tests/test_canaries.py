"""Canary keys go through runs in which every provider fails and repeats all it was sent: none gets out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from rowvec import redaction
from rowvec.errors import InputRefused
from rowvec.rejected import rejections
from tests.acceptance.service import PASSED_ON, ROOT, Service
from tests.servers.answering import answering
from tests.worker_kit import Workshop

CANARIES = {
    "API_KEYS": "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E",
    "OPENAI_API_KEY": "canary-openai-7f3b9c1d5e",
    "PINECONE_API_KEY": "canary-pinecone-2a8e4f6b0c",
    "METABASE_API_KEY": "canary-metabase-9d1c7b3a5f",
    "AWS_SECRET_ACCESS_KEY": "canary-aws-secret-4e6a8c0b2d",
    "AWS_ACCESS_KEY_ID": "CANARYAWSID8H2K4M6P",
    "password of the ledger": "canary-ledger/5b7d9f1a3c",
    "password of the broker": "canary-broker-1c3e5a7b9d",
}
"""None looks like a key of its provider: they are known by their settings alone."""

PART = 16
TABLE = b"id,text\n1,a lamp\n2,a chair\n"


class Parrot(BaseHTTPRequestHandler):
    """Answers everything with one status and, in every place where a provider puts words, all it was sent."""

    status = 401

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        words = " ".join(f"{name} {value}" for name, value in self.headers.items())
        error = {"message": words, "type": "parrot", "code": "parrot", "param": None, "status": words}
        body = json.dumps({"error": error, "message": words, "detail": words, "code": 3}).encode()
        self.send_response(self.status, "No")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", self.headers.get("authorization", "none"))
        self.end_headers()
        self.wfile.write(body if self.command != "HEAD" else b"")

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def parrot() -> Iterator[str]:
    with answering(Parrot) as address:
        yield address


def providers(parrot: str) -> dict[str, str]:
    keys = {name: value for name, value in CANARIES.items() if name.isupper()}
    return keys | {
        "EMBEDDER": "openai",
        "OPENAI_BASE_URL": f"{parrot}/v1",
        "VECTOR_STORE_URL": "pinecone://products",
        "PINECONE_CONTROLLER_HOST": parrot,
        "METABASE_URL": parrot,
        "AWS_ENDPOINT_URL": parrot,
        "AWS_REGION": "us-east-1",
        "S3_BUCKET": "tables",
        "MIN_FREE_BYTES": "0",
        "LOG_LEVEL": "DEBUG",
    }


@pytest.fixture(scope="module", params=["pinecone", "lancedb"])
def service(
    request: pytest.FixtureRequest, parrot: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """With Pinecone no task comes as far as OpenAI; with vectors in a folder it does."""
    folder = tmp_path_factory.mktemp("canaries")
    settings = providers(parrot)
    if request.param == "lancedb":
        settings["VECTOR_STORE_URL"] = f"lancedb://{folder}/data/vectors"
    with Service(folder, **settings) as started:
        started.http.headers["X-API-Key"] = CANARIES["API_KEYS"]
        started.start()
        started.wait_alive()
        yield started


def found_in(data: bytes) -> list[str]:
    """The names of the canaries of which a part is in it, spelt in any of the usual ways."""
    return [
        name
        for name, canary in CANARIES.items()
        for spelt in {canary[:PART], quote(canary, safe="")[:PART]}
        if spelt.encode() in data
    ]


def kept(service: Service) -> Iterator[tuple[str, bytes]]:
    """The log, the ledger and every file of the store, byte by byte."""
    for path in [service.folder / "service.log", *service.data.rglob("*")]:
        if path.is_file():
            yield str(path.relative_to(service.folder)), path.read_bytes()


def asked(api: httpx2.Client) -> Iterator[httpx2.Response]:
    """Whatever reaches a provider from the door, and the key itself where it does not belong."""
    key = CANARIES["API_KEYS"]
    for path in ("process", "estimate"):
        for wish in (
            {"data_source": "metabase", "question_id": 1},
            {"data_source": "s3_csv", "s3_key": "a.csv"},
            {"data_source": key},
            {"data_source": "s3_csv", "s3_key": key},
            {"data_source": "upload", "file_id": key},
            {"data_source": "upload", "file_id": "x", "namespace": f"{key}!"},
            {"data_source": "s3_csv", key: key},
        ):
            yield api.post(f"/api/v1/{path}", json=wish)
    yield api.post("/api/v1/search", json={"query": "lamp"})
    yield api.get("/health")
    yield api.get(f"/api/v1/status/{key}", params={"api_key": key})
    yield api.get("/api/v1/tasks", params={"cursor": key, "status": key})
    yield api.get(f"/api/v1/{key}")


def sent_to_the_parrot(service: Service, status: int, namespace: str) -> str:
    """The id of a task whose provider answers with this status, and every key it was given."""
    Parrot.status = status
    return service.submit(data_source="upload", file_id=service.upload(TABLE), namespace=namespace)


def stopped(service: Service, task: str) -> None:
    service.until(task, lambda one: bool(one["error"] or one["hold_reason"] or one["outcome"]), 60)


@pytest.mark.parametrize("status", [401, 403, 400, 500])
def test_no_canary_gets_out(service: Service, status: int) -> None:
    """Not in an answer, a line of the log, a row of the ledger or a file of the store."""
    task = sent_to_the_parrot(service, status, f"s{status}")
    answers = list(asked(service.http))
    if status != 500:  # with 500 the task may wait for better weather with its rows in hand
        stopped(service, task)
    answers += [service.http.get(f"/api/v1/status/{task}"), service.http.get(f"/api/v1/tasks/{task}/chunks")]
    answers.append(service.http.get(f"/api/v1/tasks/{task}/rejected"))
    shown = {
        str(answer.request.url): found_in(answer.content + str(answer.headers).encode()) for answer in answers
    }
    assert not {url: names for url, names in shown.items() if names}
    assert not {name: names for name, data in kept(service) if (names := found_in(data))}


def test_a_provider_that_repeats_a_key_is_heard(service: Service) -> None:
    """What the parrot says does come this far, without the key: the test above looks at the right places.

    In its place is what the filter of logs and words puts there, or, from OpenAI, what its own client does.
    """
    stopped(service, sent_to_the_parrot(service, 401, "heard"))
    everything = b"".join(data for _, data in kept(service))
    assert any(sign.encode() in everything for sign in (redaction.INSTEAD, "Authorization …"))


@pytest.mark.anyio
async def test_the_reason_of_a_rejected_row_has_no_key(tmp_path: Path) -> None:
    """Where a provider refuses a row and repeats a key in its reason; the row itself stays as it is."""
    canary = CANARIES["OPENAI_API_KEY"]
    shop = Workshop(tmp_path)
    shop.machine = replace(shop.machine, redact=redaction.Redactor([canary]))
    shop.write(["a lamp", f"poison and {canary}"])
    shop.embedder.ailing = {"poison": InputRefused(f"no text for {canary}")}
    task = await shop.end_of(await shop.submit())
    (row,) = [row async for row in rejections(shop.machine, task.id)]
    assert row.reason == f"no text for {redaction.INSTEAD}"
    assert canary in row.content


def test_what_is_configured_is_told_without_passwords(parrot: str, tmp_path: Path) -> None:
    """`doctor` names every part, none of which answers, and no key or password of any."""
    Parrot.status = 401
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    nobody = "127.0.0.1:1"
    ledger = quote(CANARIES["password of the ledger"], safe="")
    settings = providers(parrot) | {
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(tmp_path / "data"),
        "LEDGER_URL": f"postgresql://me:{ledger}@{nobody}/db",
        "BROKER_URL": f"redis://:{CANARIES['password of the broker']}@{nobody}/0",
    }
    for arguments in (["doctor"], ["doctor", "--json"], ["tasks"], ["search", "lamp"]):
        run = subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            cwd=tmp_path,
            env=passed | settings,
            capture_output=True,
        )
        assert run.returncode
        assert not found_in(run.stdout + run.stderr), arguments
