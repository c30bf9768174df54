"""The HTTP interface of the real service, worker and all: what works, end to end."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.http_service import Running, follow, serve, uvicorn

KEY = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"
PRODUCTS = """\
id,title,body,price,created_at
p1,Desk lamp,A small lamp for the desk,20,2025-01-03
p2,Floor lamp,A tall lamp that lights a room,90,2025-01-04
p3,Garden hose,Waters the lawn,30,2024-12-31
=1+1,broken,because it has a cell too many,50,2025-01-05,surplus
p5,Kettle,Boils water for tea,40,2025-01-06
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "products.csv").write_text(PRODUCTS)
    (folder / "empty.csv").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def running(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = {"API_KEYS": KEY, "LOCAL_FILES_DIR": str(tables), "MAX_UPLOAD_BYTES": "300000"}
    with serve(uvicorn(), tmp_path_factory.mktemp("service"), **settings) as service:
        yield service


@pytest.fixture(scope="module")
def api(running: Running) -> Iterator[httpx2.Client]:
    with running.client(KEY) as client:
        yield client


def submit(api: httpx2.Client, **fields: object) -> str:
    answer = api.post("/api/v1/process", json={"data_source": "s3_csv", **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


@pytest.fixture(scope="module")
def landed(api: httpx2.Client) -> str:
    """A task that has ended, with a row landed, filtered out and rejected."""
    task_id = submit(
        api,
        s3_key="products.csv",
        namespace="landed",
        id_column="id",
        text_template="{title}: {body}",
        metadata_columns=["title", "price"],
        date_column="created_at",
        start_date="2025-01-01",
        batch_size=2,
    )
    assert follow(api, task_id)[-1] == "end"
    return task_id


def big_task(api: httpx2.Client, tables: Path, name: str) -> str:
    """A task with enough rows to be still at work when the next request comes."""
    rows = "".join(f"r{n},the text of row {n}\n" for n in range(40_000))
    (tables / f"{name}.csv").write_text("id,text\n" + rows)
    return submit(api, s3_key=f"{name}.csv", namespace=name, id_column="id", batch_size=100)


def until(true: Callable[[], object]) -> None:
    """Return as soon as it is true. Raises TimeoutError when it never is."""
    give_up = time.monotonic() + 60
    while not true():
        if time.monotonic() > give_up:
            raise TimeoutError
        time.sleep(0.05)


def test_a_submission_is_accepted_at_once(api: httpx2.Client) -> None:
    """202 with the original guide's three fields, where to look, and when."""
    answer = api.post(
        "/api/v1/process",
        json={
            "data_source": "s3_csv",
            "s3_key": "products.csv",
            "question_id": 123,
            "start_date": "2025-01-01",
            "date_column": "created_at",
            "batch_size": 1000,
            "namespace": "v2",
        },
    )
    body = answer.json()
    assert answer.status_code == 202
    assert body == {
        "task_id": body["task_id"],
        "status": "pending",
        "message": "Task queued for processing",
    }
    assert answer.headers["location"] == f"/api/v1/status/{body['task_id']}"
    assert answer.headers["retry-after"] == "1"


def test_status_accounts_for_every_row(api: httpx2.Client, landed: str) -> None:
    """The guide's fields, and the law of conservation, on a task with every kind of row."""
    body = api.get(f"/api/v1/status/{landed}").json()
    assert (body["task_id"], body["status"], body["stage"], body["error"]) == (
        landed,
        "completed",
        None,
        None,
    )
    assert body["progress"] == {
        "total_records": 5,
        "processed_records": 4,
        "failed_records": 1,
        "chunks_completed": 3,
        "chunks_total": 3,
        "chunks_failed": 0,
    }
    told = body["conservation"]
    parts = ("upserted", "unchanged", "filtered", "duplicate", "rejected", "unprocessed")
    assert told["read"] == 5 == sum(told[part] for part in parts)
    assert (told["upserted"], told["filtered"], told["rejected"], told["unprocessed"]) == (3, 1, 1, 0)
    assert body["outcome"] == "1 row rejected; 1 row outside the dates"
    found = body["analysis"]
    assert found.pop("memory_estimate_bytes") > 0
    assert found == {
        "bytes": len(PRODUCTS.encode()),
        "text_bytes": len(PRODUCTS.encode()),
        "rows": 5,
        "blank_lines": 0,
        "columns": ["id", "title", "body", "price", "created_at"],
        "encoding": "utf-8",
        "compression": None,
        "delimiter": ",",
        "chunk_size": 2,
        "chunks": 3,
    }
    for moment in ("created_at", "started_at", "planned_at", "completed_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body[moment])
    for link in body["links"].values():
        assert api.head(link).status_code == 405
        assert api.get(link).status_code == 200


def test_an_unchanged_status_is_not_sent_again(api: httpx2.Client, landed: str) -> None:
    """If-None-Match with the ETag gives 304 and no body; another tag gives the body."""
    first = api.get(f"/api/v1/status/{landed}")
    tag = first.headers["etag"]
    again = api.get(f"/api/v1/status/{landed}", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert api.get(f"/api/v1/status/{landed}", headers={"If-None-Match": '"x"'}).status_code == 200


def test_an_estimate_takes_the_same_body_and_starts_nothing(api: httpx2.Client, landed: str) -> None:
    """Rows, shares, tokens and dollars as the task of the same body counted them, and no task more."""
    body = {
        "data_source": "s3_csv",
        "s3_key": "products.csv",
        "namespace": "landed",
        "id_column": "id",
        "text_template": "{title}: {body}",
        "metadata_columns": ["title", "price"],
        "date_column": "created_at",
        "start_date": "2025-01-01",
        "batch_size": 2,
    }
    before = api.get("/api/v1/tasks").json()
    answer = api.post("/api/v1/estimate", json=body)
    found = answer.json()
    assert answer.status_code == 200
    status = api.get(f"/api/v1/status/{landed}").json()
    assert found["tokens"] == status["conservation"]["tokens"] > 0
    assert (found["rows"], found["chunks"], found["rows_to_embed"], found["exact"]) == (5, 3, 3, True)
    assert (found["rejected_share"], found["filtered_share"]) == (0.2, 0.2)
    assert (found["dollars"], found["model"]) == (0.0, status["model"])
    assert found["memory_bytes"] == status["analysis"]["memory_estimate_bytes"]
    assert found["seconds"] > 0
    assert (found["bytes"], found["encoding"], found["compression"]) == (found["text_bytes"], "utf-8", None)
    assert [task["task_id"] for task in api.get("/api/v1/tasks").json()["tasks"]] == [
        task["task_id"] for task in before["tasks"]
    ]


def test_a_preview_takes_the_same_body_and_starts_nothing(api: httpx2.Client) -> None:
    """The first rows with their texts, metadata and outcomes, and no task more."""
    body = {
        "data_source": "s3_csv",
        "s3_key": "products.csv",
        "id_column": "id",
        "text_template": "{title}: {body}",
        "metadata_columns": ["title", "price"],
        "date_column": "created_at",
        "start_date": "2025-01-01",
    }
    before = api.get("/api/v1/tasks").json()
    answer = api.post("/api/v1/preview", json=body)
    found = answer.json()
    assert answer.status_code == 200
    assert (found["delimiter"], found["encoding"], found["compression"]) == (",", "utf-8", None)
    assert set(found["types"]) == {"title", "price"} and "created_at" in found["columns"]
    assert sorted(row["outcome"] for row in found["rows"]) == ["embedded"] * 3 + ["filtered", "rejected"]
    first = found["rows"][0]
    assert first["passages"] == [f"{first['metadata']['title']}: {first['content'].split(',')[2]}"]
    assert len(api.post("/api/v1/preview?rows=2", json=body).json()["rows"]) == 2
    refused = api.post("/api/v1/preview", json={**body, "id_column": "nope"})
    assert (
        refused.json()["errors"]
        == api.post("/api/v1/process", json={**body, "id_column": "nope"}).json()["errors"]
    )
    assert api.get("/api/v1/tasks").json() == before


def test_one_table_is_scanned_at_a_time(api: httpx2.Client, tables: Path) -> None:
    """Others are told to come again; what needs no scan is answered, and who hangs up makes room."""
    with (tables / "endless.csv").open("wb") as file:
        file.write(b"id,title\n1,one\n")
        file.truncate(50 << 30)  # a hole, which takes no room and long to read
    small = {"data_source": "s3_csv", "s3_key": "products.csv"}
    endless = api.build_request("POST", "/api/v1/estimate", json={**small, "s3_key": "endless.csv"})
    head = "".join(f"{name}: {value}\r\n" for name, value in endless.headers.items())
    answers: list[httpx2.Response] = []

    def asked() -> httpx2.Response:
        answers.append(api.post("/api/v1/estimate", json=small))
        return answers[-1]

    with socket.create_connection((endless.url.host, endless.url.port)) as caller:
        caller.sendall(f"POST /api/v1/estimate HTTP/1.1\r\n{head}\r\n".encode() + endless.read())
        until(lambda: is_busy(asked()))
        refused = api.post("/api/v1/estimate", json={**small, "s3_key": "nothing.csv"})
        assert api.get("/api/v1/tasks").status_code == 200
    until(lambda: api.post("/api/v1/estimate", json=small).status_code == 200)

    assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("busy", "5")
    assert refused.status_code == 404


def is_busy(answer: httpx2.Response) -> bool:
    assert answer.status_code in (200, 429), answer.text
    return answer.status_code == 429


def test_tasks_are_listed_newest_first_in_pages(api: httpx2.Client, landed: str) -> None:
    """Following the cursor gives each task once, and the filter by status holds."""
    submit(api, s3_key="products.csv", namespace="listed")
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/api/v1/tasks", params={"limit": 1, **cursor}).json()
        seen += page["tasks"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    ids = [task["task_id"] for task in seen]
    assert len(ids) == len(set(ids)) >= 2
    assert [task["created_at"] for task in seen] == sorted((t["created_at"] for t in seen), reverse=True)
    assert landed in ids
    done = api.get("/api/v1/tasks", params={"status": "completed"}).json()["tasks"]
    assert {task["status"] for task in done} == {"completed"}


def test_search_finds_what_landed(api: httpx2.Client, landed: str) -> None:
    """The nearest row comes first, with its id, text and typed metadata; what was left out is not there."""
    found = api.post("/api/v1/search", json={"query": "lamp for a desk", "namespace": "landed", "limit": 5})
    body = found.json()
    assert body["matches"][0]["id"] == "p1"
    assert {match["id"] for match in body["matches"]} == {"p1", "p2", "p5"}
    first = body["matches"][0]
    assert first["text"] == "Desk lamp: A small lamp for the desk"
    assert first["metadata"]["title"] == "Desk lamp"
    assert body["model"] and body["took_ms"] >= 0
    nothing = api.post("/api/v1/search", json={"query": "lamp", "namespace": "nobody"})
    assert (nothing.status_code, nothing.json()["matches"]) == (200, [])


def test_rejected_rows_come_as_json_lines_and_as_harmless_csv(api: httpx2.Client, landed: str) -> None:
    """Both hold the row, its number and the reason; the CSV is an attachment without formulas."""
    lines = api.get(f"/api/v1/tasks/{landed}/rejected")
    (row,) = [json.loads(line) for line in lines.text.splitlines()]
    assert (row["row"], row["line"], row["outcome"]) == (4, 5, "rejected")
    assert row["content"].startswith("=1+1,broken") and row["reason"]
    table = api.get(f"/api/v1/tasks/{landed}/rejected", params={"format": "csv"})
    (record,) = csv.DictReader(io.StringIO(table.text))
    assert record["row"] == "4"
    assert record["content"].startswith("'=1+1,broken")
    assert table.headers["content-disposition"].startswith("attachment; filename=")
    assert table.headers["x-content-type-options"] == "nosniff"
    assert api.get(f"/api/v1/tasks/{landed}/rejected", params={"outcome": "duplicate"}).text == ""


def test_rejected_rows_are_counted_by_reason(api: httpx2.Client, landed: str) -> None:
    """One group a code, with its number, where it begins and ends, and one of its rows."""
    answer = api.get(f"/api/v1/tasks/{landed}/rejected/groups")
    (group,) = answer.json()["groups"]
    assert group.pop("reason").startswith("5 fields are expected")
    assert group.pop("content").startswith("=1+1,broken")
    assert group == {"code": "too-many-fields", "count": 1, "first_row": 4, "last_row": 4}
    none = api.get(f"/api/v1/tasks/{landed}/rejected/groups", params={"outcome": "duplicate"})
    assert none.json() == {"groups": []}


def test_chunks_are_listed_in_pages(api: httpx2.Client, landed: str) -> None:
    """Each chunk once, by number, with its rows and counts."""
    first = api.get(f"/api/v1/tasks/{landed}/chunks", params={"limit": 2}).json()
    rest = api.get(f"/api/v1/tasks/{landed}/chunks", params={"after": first["next_after"]}).json()
    chunks = first["chunks"] + rest["chunks"]
    assert [chunk["number"] for chunk in chunks] == [0, 1, 2]
    assert sum(chunk["rows"] for chunk in chunks) == 5
    assert {chunk["state"] for chunk in chunks} == {"done"}
    assert rest["next_after"] is None


def test_events_tell_every_step_to_the_end(api: httpx2.Client, landed: str) -> None:
    """An ended task still tells its state once, then `end`."""
    assert follow(api, landed) == ["progress", "end"]


def test_verify_and_removal(api: httpx2.Client) -> None:
    """The store holds what the manifests say; after removal verify says what is missing."""
    task_id = submit(api, s3_key="products.csv", namespace="removed", id_column="id")
    assert follow(api, task_id)[-1] == "end"
    proof = api.post(f"/api/v1/tasks/{task_id}/verify").json()
    assert (proof["ok"], proof["expected"], proof["found"], proof["missing"]) == (True, 4, 4, [])
    assert api.delete(f"/api/v1/tasks/{task_id}/vectors").json() == {"task_id": task_id, "removed": 4}
    proof = api.post(f"/api/v1/tasks/{task_id}/verify").json()
    assert (proof["ok"], proof["missing_count"]) == (False, 4)


def test_pause_resume_and_cancel(api: httpx2.Client, tables: Path) -> None:
    """A task at work can be held, goes on, and can be stopped for good."""
    task_id = big_task(api, tables, "held")
    paused = api.post(f"/api/v1/tasks/{task_id}/pause").json()
    assert (paused["status"], paused["hold_reason"]) == ("paused", "paused on request")
    assert api.post(f"/api/v1/tasks/{task_id}/verify").status_code == 409
    assert api.delete(f"/api/v1/tasks/{task_id}/vectors").status_code == 409
    resumed = api.post(f"/api/v1/tasks/{task_id}/resume").json()
    assert resumed["status"] in ("pending", "processing")
    assert api.post(f"/api/v1/tasks/{task_id}/cancel").json()["status"] in ("cancelling", "cancelled")
    assert follow(api, task_id)[-1] == "end"
    ended = api.get(f"/api/v1/status/{task_id}").json()
    assert ended["status"] == "cancelled"
    assert ended["outcome"].startswith("cancelled")
    assert api.post(f"/api/v1/tasks/{task_id}/pause").json()["code"] == "wrong-state"


def test_cancelling_at_work_takes_the_copy_of_the_source_away(
    running: Running, api: httpx2.Client, tables: Path
) -> None:
    """A packed table is there a second time only as long as its task may still read it."""
    rows = "".join(f"r{n},the text of row {n}\n" for n in range(40_000))
    (tables / "packed.csv.gz").write_bytes(gzip.compress(f"id,text\n{rows}".encode()))
    task_id = submit(api, s3_key="packed.csv.gz", namespace="packed", id_column="id", batch_size=100)
    copy = running.said.parent / "data" / "files" / "tasks" / task_id / "source.csv"
    until(copy.exists)
    assert api.post(f"/api/v1/tasks/{task_id}/cancel").json()["status"] in ("cancelling", "cancelled")
    assert follow(api, task_id)[-1] == "end"
    until(lambda: not copy.exists())


def test_retry_is_refused_when_the_source_has_changed(api: httpx2.Client, tables: Path) -> None:
    """A failed task whose file is another one by now answers 409, and says what to do."""
    task_id = big_task(api, tables, "swapped")
    api.post(f"/api/v1/tasks/{task_id}/pause")
    (tables / "swapped.csv").write_text("id,text\nr0,other\n")
    api.post(f"/api/v1/tasks/{task_id}/resume")
    assert follow(api, task_id)[-1] == "end"
    failed = api.get(f"/api/v1/status/{task_id}").json()
    assert failed["status"] == "failed" and failed["error"]
    answer = api.post(f"/api/v1/tasks/{task_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "source-changed")


def test_the_same_submission_twice(api: httpx2.Client, tables: Path) -> None:
    """While it runs, an equal submission answers with the task that is there."""
    task_id = big_task(api, tables, "twice")
    body = {"data_source": "s3_csv", "s3_key": "twice.csv", "namespace": "twice", "id_column": "id"}
    again = api.post("/api/v1/process", json={**body, "batch_size": 100})
    assert (again.status_code, again.json()["task_id"]) == (200, task_id)
    assert again.json()["message"] != "Task queued for processing"
    api.post(f"/api/v1/tasks/{task_id}/cancel")


def test_idempotency_key(api: httpx2.Client) -> None:
    """The same key and body replay the first answer's task, also when it has ended; another body is 422."""
    headers = {"Idempotency-Key": "order-66"}
    body = {"data_source": "s3_csv", "s3_key": "products.csv", "namespace": "idem"}
    first = api.post("/api/v1/process", json=body, headers=headers)
    follow(api, first.json()["task_id"])
    second = api.post("/api/v1/process", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (202, 200)
    assert second.json()["task_id"] == first.json()["task_id"]
    assert second.json()["status"] == "completed"
    other = api.post("/api/v1/process", json={**body, "batch_size": 7}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-conflict")


def test_rejected_rows_are_repaired_and_sent_in_again(api: httpx2.Client, tables: Path) -> None:
    """The repair table comes down, goes up mended as a child, and the parent's status shows the sum."""
    (tables / "lamps.csv").write_text("id,title\nl1,Lamp\nl2\nl3,Torch\n")
    parent = submit(api, s3_key="lamps.csv", namespace="lamps", id_column="id")
    follow(api, parent)
    tag = api.get(f"/api/v1/status/{parent}").headers["etag"]
    table = api.get(f"/api/v1/tasks/{parent}/rejected", params={"format": "repair"})
    assert table.headers["content-disposition"] == f'attachment; filename="repair-{parent}.csv"'
    assert "l2,[repair] missing" in table.text
    mended = table.text.replace("[repair] missing", "Candle").encode()
    file = api.post("/api/v1/files", content=mended, headers={"Content-Type": "text/csv"}).json()["file_id"]
    child = submit(api, data_source="upload", file_id=file, parent_id=parent)
    follow(api, child)
    told = api.get(f"/api/v1/status/{parent}", headers={"If-None-Match": tag}).json()
    born = api.get(f"/api/v1/status/{child}").json()

    assert (told["children"], told["with_children"]) == ([child], {"upserted": 3, "rejected": 0})
    assert told["conservation"]["rejected"] == 1
    assert (born["namespace"], born["parent_id"], born["outcome"]) == ("lamps", parent, "all rows landed")
    assert (born["children"], born["with_children"]) == ([], None)
    nobody = {"data_source": "upload", "file_id": file, "parent_id": "nobody"}
    assert api.post("/api/v1/process", json=nobody).status_code == 404
    wrong = {"format": "repair", "outcome": "duplicate"}
    assert api.get(f"/api/v1/tasks/{parent}/rejected", params=wrong).status_code == 422


def test_retry_sends_rejected_rows_in_again_on_request(api: httpx2.Client, tables: Path) -> None:
    """202 with a new child under Location; the same child while it is there; without a body as ever."""
    rows = [f"x{n},row,with too many\n" if n >= 1_000 and n % 6 else f"r{n},row {n}\n" for n in range(7_000)]
    (tables / "resent.csv").write_text("id,title\n" + "".join(rows))
    parent = submit(api, s3_key="resent.csv", namespace="resent", id_column="id", batch_size=500)
    follow(api, parent)
    path = f"/api/v1/tasks/{parent}/retry"
    plain = api.post(path)
    first = api.post(path, json={"rejected": True})
    child = first.json()["task_id"]
    until(lambda: api.get(f"/api/v1/status/{child}").json()["status"] == "paused")
    second = api.post(path, json={"rejected": True})
    told = api.get(f"/api/v1/status/{parent}").json()

    assert (plain.status_code, plain.json()["code"]) == (409, "wrong-state")
    assert (first.status_code, first.json()["parent_id"], child == parent) == (202, parent, False)
    assert (second.status_code, second.json()["task_id"], second.json()["status"]) == (200, child, "paused")
    for answer in (first, second):
        assert answer.headers["location"] == f"/api/v1/status/{child}"
    assert told["children"] == [child]
    assert api.post(f"/api/v1/tasks/{child}/cancel").status_code == 200


def test_retry_has_words_for_what_it_cannot_send_in_again(api: httpx2.Client, tables: Path) -> None:
    """409 before the end and where nothing was rejected, 422 for a body that asks for something else."""
    task_id = big_task(api, tables, "unended")
    path = f"/api/v1/tasks/{task_id}/retry"
    early = api.post(path, json={"rejected": True})
    misspelt = api.post(path, json={"reject": True})
    api.post(f"/api/v1/tasks/{task_id}/cancel")
    follow(api, task_id)
    nothing = api.post(path, json={"rejected": True})

    assert (early.status_code, "has not ended" in early.json()["detail"]) == (409, True)
    assert (nothing.status_code, "rejected no row" in nothing.json()["detail"]) == (409, True)
    assert (misspelt.status_code, misspelt.json()["errors"][0]["field"]) == (422, "reject")


@pytest.mark.parametrize("way", ["raw", "chunked", "form", "put"])
def test_an_upload_is_processed_like_any_file(api: httpx2.Client, way: str) -> None:
    """Raw, chunked without a length, as a form and with PUT: the file arrives whole and lands."""
    data = PRODUCTS.encode()
    if way == "raw":
        answer = api.post("/api/v1/files", content=data, headers={"Content-Type": "text/csv"})
    elif way == "chunked":
        answer = api.post("/api/v1/files", content=iter([data[:50], data[50:]]))
    elif way == "put":
        answer = api.put("/api/v1/files", content=data)
    else:
        form: dict[str, Any] = {
            "file": ("C:\\tables\\products.csv", data, "text/csv"),
            "note": (None, b"beside it"),
        }
        answer = api.post("/api/v1/files", files=form)
    assert answer.status_code == 201, answer.text
    assert answer.json()["bytes"] == len(data)
    assert answer.json()["name"] == ("products.csv" if way == "form" else "upload.csv")
    body = {"data_source": "upload", "file_id": answer.json()["file_id"], "namespace": f"up-{way}"}
    task_id = api.post("/api/v1/process", json=body).json()["task_id"]
    follow(api, task_id)
    assert api.get(f"/api/v1/status/{task_id}").json()["conservation"]["upserted"] == 4


def test_a_big_form_arrives_byte_for_byte(api: httpx2.Client) -> None:
    """Content that looks like boundaries, split over many network reads, is kept as it is."""
    data = b"id,text\r\n" + b'1,"--x\r\n--"\r\n' * 15_000
    answer = api.post("/api/v1/files", files={"file": ("t.csv", data)})
    assert (answer.status_code, answer.json()["bytes"]) == (201, len(data))


def test_an_empty_file_completes_with_no_rows_and_says_so(api: httpx2.Client) -> None:
    """0 bytes are a table without rows."""
    answer = api.post("/api/v1/files", content=b"")
    assert (answer.status_code, answer.json()["bytes"]) == (201, 0)
    task_id = submit(api, s3_key="empty.csv", namespace="empty")
    follow(api, task_id)
    status = api.get(f"/api/v1/status/{task_id}").json()
    assert (status["status"], status["outcome"]) == ("completed", "the source has no rows")
    assert status["progress"]["total_records"] == 0


@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
def test_health_needs_no_key(running: Running, api: httpx2.Client, landed: str, path: str) -> None:
    """The guide's fields without a key; what is not in use says so."""
    assert api.post("/api/v1/search", json={"query": "lamp", "namespace": "landed"}).status_code == 200
    with running.client() as anybody:
        body = anybody.get(path).json()
    assert body["status"] == "healthy", body
    assert body["workers"] == {"active": 1, "available": body["workers"]["available"]}
    assert (body["redis"], body["dynamodb"]) == ("not configured", "not configured")
    parts = {body[part] for part in ("ledger", "vector_store", "embedder", "file_store")}
    assert parts == {"connected"}
    assert body["version"] == "1.0.0"


def test_probes_and_metrics(running: Running, landed: str) -> None:
    """Alive, ready, and counted by route, never by id."""
    with running.client() as anybody:
        assert anybody.get("/livez").status_code == 200
        assert anybody.get("/readyz").status_code == 200
        text = anybody.get("/metrics").text
    assert 'route="/api/v1/status/{task_id}",status="200"' in text
    assert 'vectordb_workers{state="alive"} 1.0' in text
    assert landed not in text


def test_the_description_is_complete(running: Running) -> None:
    """Every operation has an id, a summary and its problems; every error code has its paragraph."""
    with running.client() as anybody:
        document = anybody.get("/openapi.json").json()
        page = anybody.get("/docs/errors").text
        assert "swagger" in anybody.get("/docs").text
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids)) >= 18
    assert all(one["summary"] for one in operations)
    assert "HTTPValidationError" not in json.dumps(document)
    assert "/api/v1/process" in document["paths"]
    analysis = document["components"]["schemas"]["AnalysisView"]
    assert {"null", "integer"} == {kind["type"] for kind in analysis["properties"]["rows"]["anyOf"]}
    assert "compression" in analysis["required"] and analysis["properties"]["columns"]["description"]
    for code in ("unknown-task", "source-not-found", "not-configured", "body-too-large", "unauthorized"):
        assert f'<dt id="{code}">' in page
    assert "no API key of that id" in page


def test_a_stream_does_not_keep_the_service_from_stopping(tables: Path, tmp_path: Path) -> None:
    """Told to end, the service ends an open stream and itself, well before a supervisor would kill it."""
    settings = {"API_KEYS": KEY, "LOCAL_FILES_DIR": str(tables)}
    with serve(uvicorn(), tmp_path, **settings) as service, service.client(KEY) as client:
        task_id = big_task(client, tables, "endless")
        client.post(f"/api/v1/tasks/{task_id}/pause")
        # Shorter than the 15 s between two signs of life: a stream that goes on is seen as such.
        with client.stream("GET", f"/api/v1/tasks/{task_id}/events", timeout=12) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: progress"
            service.process.terminate()
            assert "event: end" not in list(lines)
        assert service.process.wait(45) in (0, -15)
