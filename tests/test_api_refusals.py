"""What the HTTP interface refuses, and how: every problem says what is wrong and where it is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.config import Settings
from app.keys import make_key
from app.logs import configure_logging
from app.main import create_app
from rowvec.errors import NotConfigured
from tests.http_service import Running, serve, uvicorn

KEY = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"
NOBODY = "5f0c1c2e-8a3b-4b0e-9a54-7d1f0f1b6d11"
ROUTES = [
    ("POST", "/api/v1/process"),
    ("POST", "/api/v1/estimate"),
    ("POST", "/api/v1/search"),
    ("POST", "/api/v1/files"),
    ("PUT", "/api/v1/files"),
    ("GET", "/api/v1/tasks"),
    ("GET", f"/api/v1/status/{NOBODY}"),
    *(
        ("GET", f"/api/v1/tasks/{NOBODY}/{what}")
        for what in ("chunks", "rejected", "rejected/groups", "events")
    ),
    *(
        ("POST", f"/api/v1/tasks/{NOBODY}/{what}")
        for what in ("cancel", "pause", "resume", "retry", "verify")
    ),
    ("DELETE", f"/api/v1/tasks/{NOBODY}/vectors"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "t.csv").write_text("id,title\n1,one\n")
    (folder.parent / "secret.csv").write_text("id,title\n1,one\n")
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "folder").mkdir()
    settings = {
        "API_KEYS": KEY,
        "LOCAL_FILES_DIR": str(folder),
        "MAX_UPLOAD_BYTES": "100000",
        "ENVIRONMENT": "production",
    }
    with serve(uvicorn(), tmp_path_factory.mktemp("service"), **settings) as service:
        yield service


@pytest.fixture(scope="module")
def api(running: Running) -> Iterator[httpx2.Client]:
    with running.client(KEY) as client:
        yield client


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The body, after checking that it is a whole RFC 9457 problem of that status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/docs/errors#{code}")
    assert body["title"] and body["detail"]
    assert body["instance"] == f"urn:uuid:{answer.headers['x-request-id']}"
    return body


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_opens_without_a_key(running: Running, method: str, path: str) -> None:
    """Every route but health answers 401 and says how to authenticate."""
    body = (
        {"data_source": "s3_csv", "query": "x"} if path.endswith(("process", "estimate", "search")) else None
    )
    if body and path.endswith("search"):
        body.pop("data_source")
    elif body:
        body.pop("query")
    with running.client() as anybody:
        answer = anybody.request(method, path, json=body)
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_wrong_keys_are_told_apart_only_from_typos(running: Running) -> None:
    """An unknown key gets the words of a missing record; a typo is named as one."""
    _, unknown = make_key("unknown", 0.0)
    with running.client(unknown) as stranger:
        told = problem(stranger.get("/api/v1/tasks"), 401, "unauthorized")["detail"]
    assert told == "This API key is not valid."
    with running.client(KEY[:-1]) as stranger:
        assert problem(stranger.get("/api/v1/tasks"), 401, "unauthorized")["detail"] == told
    with running.client(unknown[:-1] + ("0" if unknown[-1] != "0" else "1")) as typist:
        problem(typist.get("/api/v1/tasks"), 401, "mistyped-key")


def test_a_bearer_token_opens_too(running: Running) -> None:
    """`Authorization: Bearer` is as good as X-API-Key; another scheme is not."""
    with running.client() as client:
        assert client.get("/api/v1/tasks", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        problem(client.get("/api/v1/tasks", headers={"Authorization": f"Basic {KEY}"}), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/metrics"])
def test_production_shows_no_stranger_its_insides(running: Running, path: str) -> None:
    """With ENVIRONMENT=production docs and metrics need a key; what problems link to does not."""
    with running.client() as anybody:
        problem(anybody.get(path), 401, "unauthorized")
        assert anybody.get("/docs/errors").status_code == 200
    with running.client(KEY) as client:
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("nothing.csv", 404, "source-not-found"),
        ("../secret.csv", 403, "source-forbidden"),
        ("folder/../../secret.csv", 403, "source-forbidden"),
        ("/etc/passwd", 403, "source-forbidden"),
        ("link.csv", 403, "source-forbidden"),
    ],
)
def test_files_outside_the_folder_are_not_read(api: httpx2.Client, key: str, status: int, code: str) -> None:
    """No such file, `..`, absolute paths and links that leave: refused before anything is recorded."""
    answer = api.post("/api/v1/process", json={"data_source": "s3_csv", "s3_key": key})
    problem(answer, status, code)
    assert api.get("/api/v1/tasks").json()["tasks"] == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id_column": "nope"}, "id_column"),
        ({"text_columns": ["title", "nope"]}, "text_columns"),
        ({"metadata_columns": ["nope"]}, "metadata_columns"),
        ({"metadata_types": {"nope": "string"}}, "metadata_types"),
        ({"metadata_types": {"title": "colour"}}, "metadata_types"),
        ({"date_column": "nope", "start_date": "2025-01-01"}, "date_column"),
        ({"date_column": "title", "start_date": "yesterday"}, "start_date"),
        ({"start_date": "2025-01-01"}, "date_column"),
        ({"text_template": "no column at all"}, "text_template"),
        ({"text_template": "{nope}"}, "text_template"),
        ({"namespace": "a/b"}, "namespace"),
    ],
)
def test_what_the_table_does_not_have_is_refused(
    api: httpx2.Client, fields: dict[str, object], field: str
) -> None:
    """Names of columns, templates, dates and namespaces are checked before a task exists."""
    answer = api.post("/api/v1/process", json={"data_source": "s3_csv", "s3_key": "t.csv", **fields})
    body = problem(answer, 422, "invalid-request")
    assert [error["field"] for error in body["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"s3_key": "t.csv"}, "data_source"),
        ({"data_source": "ftp", "s3_key": "t.csv"}, "data_source"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "batchsize": 7}, "batchsize"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "batch_size": 0}, "batch_size"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "batch_size": 100_001}, "batch_size"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "batch_size": "7"}, "batch_size"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "batch_size": True}, "batch_size"),
        ({"data_source": "s3_csv", "s3_key": "t\0.csv"}, "s3_key"),
        ({"data_source": "s3_csv", "s3_key": "x" * 2000}, "s3_key"),
        ({"data_source": "s3_csv", "s3_key": ""}, "s3_key"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "text_columns": "title"}, "text_columns"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "text_columns": ["a"] * 2001}, "text_columns"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "namespace": "n\0"}, "namespace"),
        ([], "body"),
        ("text", "body"),
    ],
)
def test_malformed_bodies_name_their_field(api: httpx2.Client, body: object, field: str) -> None:
    """Missing, unknown, wrong and oversized fields are a 422 that names the field."""
    found = problem(api.post("/api/v1/process", json=body), 422, "validation-failed")
    assert field in [error["field"] for error in found["errors"]]


@pytest.mark.parametrize("name", ["s3_key", "namespace", "id_column", "\\ud800"])
def test_lone_surrogates_are_refused(api: httpx2.Client, name: str) -> None:
    """JSON can spell half a character, as a value or as a name; it is a 422 and never a 500."""
    body = f'{{"data_source": "s3_csv", "s3_key": "t.csv", "{name}": "\\ud800"}}'
    answer = api.post("/api/v1/process", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 422, "validation-failed")


@pytest.mark.parametrize("content", [b"{", b"[" * 60_000, b'{"a": NaN', b"\xff\xfe"])
def test_what_is_no_json_is_refused(api: httpx2.Client, content: bytes) -> None:
    """Cut, endlessly nested and undecodable bodies are the caller's fault, not ours."""
    answer = api.post("/api/v1/process", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code, answer.json()["code"])


def test_a_body_that_is_not_declared_json_is_refused(api: httpx2.Client) -> None:
    """curl without a Content-Type header gets told which one to send."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = problem(api.post("/api/v1/process", content=b"{}", headers=form), 422, "validation-failed")
    assert "Content-Type: application/json" in body["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data_source": "s3_csv"}, "s3_key"),
        ({"data_source": "metabase"}, "question_id"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "ref": "t.csv"}, "ref"),
        ({"data_source": "upload"}, "file_id"),
        ({"data_source": "s3_csv", "s3_key": "t.csv", "file_id": "x"}, "file_id"),
    ],
)
def test_each_source_needs_its_own_key(api: httpx2.Client, body: dict[str, str], field: str) -> None:
    """The refusal names the field that belongs to the data source."""
    found = problem(api.post("/api/v1/process", json=body), 422, "invalid-request")
    assert [error["field"] for error in found["errors"]] == [field]


def test_parts_that_are_not_set_up_say_so(api: httpx2.Client) -> None:
    """A Metabase question, or an estimate of one, on a service without it: 501, for waiting does not help."""
    for path in ("/api/v1/process", "/api/v1/estimate"):
        answer = api.post(path, json={"data_source": "metabase", "question_id": 1})
        problem(answer, 501, "not-configured")


def test_unknown_uploads_are_not_found(api: httpx2.Client) -> None:
    """Neither an id nobody gave out nor a path gets anywhere."""
    for file_id in ("0" * 32, "../ledger", "tasks/x"):
        answer = api.post("/api/v1/process", json={"data_source": "upload", "file_id": file_id})
        assert answer.status_code in (403, 404, 422), answer.text
        problem(answer, answer.status_code, answer.json()["code"])


@pytest.mark.parametrize("task_id", [NOBODY, "nonsense", "%00", "%ED%A0%80", "x" * 150])
@pytest.mark.parametrize(
    "path",
    ["status/{}", "tasks/{}/chunks", "tasks/{}/rejected", "tasks/{}/rejected/groups", "tasks/{}/events"],
)
def test_unknown_tasks_are_not_found(api: httpx2.Client, path: str, task_id: str) -> None:
    """An id nobody gave out, and what is no id at all."""
    problem(api.get("/api/v1/" + path.format(task_id)), 404, "unknown-task")


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if NOBODY in route[1]])
def test_nothing_can_be_asked_of_an_unknown_task(api: httpx2.Client, method: str, path: str) -> None:
    """Steering, verifying and removing need a task that is there."""
    problem(api.request(method, path), 404, "unknown-task")


@pytest.mark.parametrize("query", ["cursor=nonsense", "cursor=AAAA", "cursor=%00", "cursor=" + "a" * 400])
def test_a_cursor_of_somebody_elses_making_is_refused(api: httpx2.Client, query: str) -> None:
    """Only cursors that a page gave out are taken."""
    problem(api.get(f"/api/v1/tasks?{query}"), 422, "invalid-request")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=99999", "status=done", "cursor="])
def test_wrong_queries_are_refused(api: httpx2.Client, query: str) -> None:
    """Numbers out of range and words that are no state."""
    problem(api.get(f"/api/v1/tasks?{query}"), 422, "validation-failed")


@pytest.mark.parametrize(
    "body",
    [
        {"query": ""},
        {"query": "x", "limit": 0},
        {"query": "x", "limit": 101},
        {"query": "x", "filter": {}},
        {"query": "a\0b"},
    ],
)
def test_wrong_searches_are_refused(api: httpx2.Client, body: dict[str, object]) -> None:
    """Empty, unbounded, misspelt and unprintable searches."""
    problem(api.post("/api/v1/search", json=body), 422, "validation-failed")


def test_a_search_for_nothing_visible_is_refused(api: httpx2.Client) -> None:
    """A query of spaces only holds nothing to look for."""
    problem(api.post("/api/v1/search", json={"query": "  \n "}), 422, "invalid-request")


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_idempotency_keys_have_a_length(api: httpx2.Client, key: str) -> None:
    """1 to 255 characters."""
    answer = api.post(
        "/api/v1/process",
        json={"data_source": "s3_csv", "s3_key": "t.csv"},
        headers={"Idempotency-Key": key},
    )
    problem(answer, 422, "validation-failed")


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    ("path", "size"), [("/api/v1/process", 65_537), ("/api/v1/search", 65_537), ("/api/v1/files", 100_001)]
)
def test_too_large_a_body_is_refused(api: httpx2.Client, path: str, size: int, declared: bool) -> None:
    """64 KiB of JSON, MAX_UPLOAD_BYTES of upload: counted as they arrive when no length is declared."""
    data = b" " * size
    kind = "text/csv" if path.endswith("files") else "application/json"
    answer = api.post(path, content=data if declared else iter([data]), headers={"Content-Type": kind})
    problem(answer, 413, "body-too-large")


def test_a_body_at_the_limit_is_read(api: httpx2.Client) -> None:
    """Exactly 64 KiB is not too large: the refusal is about its content."""
    json = {"Content-Type": "application/json"}
    problem(api.post("/api/v1/search", content=b" " * 65_536, headers=json), 422, "validation-failed")
    assert api.post("/api/v1/files", content=b"x" * 100_000).status_code == 201


def test_an_upload_that_the_disk_has_no_room_for_is_refused(tmp_path: Path) -> None:
    """507 with how much is free and what must stay free, before anything is written."""
    with (
        serve(uvicorn(), tmp_path, API_KEYS=KEY, MIN_FREE_BYTES=str(1 << 60)) as service,
        service.client(KEY) as client,
    ):
        answer = client.post("/api/v1/files", content=b"id\n1\n", headers={"Content-Type": "text/csv"})
        told = problem(answer, 507, "disk-low")["detail"]
    assert "MB free" in told and "MIN_FREE_BYTES" in told
    assert not list((tmp_path / "data").rglob("*.csv"))


def test_uploads_that_are_no_files_are_refused(api: httpx2.Client) -> None:
    """JSON, a form that has lost its newlines, a form without the field, and a form cut short."""
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        problem(
            api.post("/api/v1/files", content=b"a,b", headers={"Content-Type": kind}),
            415,
            "unsupported-media-type",
        )
    problem(api.post("/api/v1/files", files={"table": ("t.csv", b"a,b")}), 422, "invalid-request")
    two = [("file", ("1.csv", b"a")), ("file", ("2.csv", b"b"))]
    problem(api.post("/api/v1/files", files=two), 422, "invalid-request")
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    cut = b'--x\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\na,b'
    problem(api.post("/api/v1/files", content=cut, headers=form), 422, "invalid-request")
    problem(api.post("/api/v1/files", content=b"no boundary", headers=form), 422, "invalid-request")


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/process/", "/api/v1/tasks/x/explode", "/%00"])
def test_unknown_paths_are_problems_too(api: httpx2.Client, path: str) -> None:
    """404 in the same form as every other refusal."""
    problem(api.get(path), 404, "not-found")


def test_other_methods_are_named(api: httpx2.Client) -> None:
    """405 lists what the path knows."""
    answer = api.put("/api/v1/process")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"


def test_every_answer_tells_browsers_to_keep_their_hands_off(api: httpx2.Client) -> None:
    """nosniff, no frames, no referrer, nothing loaded: on good answers and on refusals."""
    for path in ("/api/v1/tasks", "/nothing", "/health", "/docs/errors"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_logs_hold_no_key_and_no_row(running: Running, api: httpx2.Client) -> None:
    """After all of the above: one JSON line a request, with its id, and neither a key nor what was sent."""
    answer = api.post("/api/v1/search", json={"query": "canary of the coal mine", "namespace": "none"})
    assert answer.headers["x-request-id"] in running.stderr
    assert KEY not in running.stderr
    assert "vdb_live_" not in running.stderr
    assert "canary" not in running.stderr
    assert re.search(r'"route": ?"/api/v1/search"', running.stderr)


@pytest.mark.anyio
async def test_a_fault_of_ours_shows_nothing_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """500 is a problem with an id for the log; the exception's words stay inside."""
    configure_logging("INFO")
    never_started = create_app()
    transport = httpx2.ASGITransport(never_started, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.get("/api/v1/tasks")
    body = problem(answer, 500, "internal-error")
    assert "attribute" not in answer.text and "service'" not in answer.text
    assert body["instance"].removeprefix("urn:uuid:") in capsys.readouterr().err


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"api_keys": "your-api-key-your-api-key-your-api-key"}, "placeholder"),
        ({"api_keys": "tooshort"}, "32"),
        ({"broker_url": "amqp://localhost"}, "BROKER_URL must be redis://"),
    ],
)
async def test_a_service_set_up_wrongly_does_not_start(
    tmp_path: Path, setting: dict[str, Any], words: str
) -> None:
    """It ends with a sentence that says what to change, before anything is written."""
    settings = Settings(data_dir=tmp_path / "data", _env_file=None, **setting)
    app = create_app(lambda: settings)
    with pytest.raises(NotConfigured, match=words):
        async with app.router.lifespan_context(app):
            pass
    assert not (tmp_path / "data").exists()
