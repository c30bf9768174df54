"""Tasks over objects of a bucket: they land like any other, and fail in words when the object changes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.api.models import Origin
from app.config import Settings
from rowvec import steer
from rowvec.errors import SourceChanged
from rowvec.filestores.s3 import S3Store
from rowvec.intake import TaskRequest, submit
from rowvec.model import Hold, TaskState
from tests.http_service import follow, serve, uvicorn
from tests.servers.faulty import Fault, Faulty, before, s3_error
from tests.servers.moto import Moto
from tests.worker_kit import Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]
KEY = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"


def table(rows: int, word: str = "row") -> bytes:
    return b"id,text\n" + b"".join(b"row-%d,%s %d\n" % (n, word.encode(), n) for n in range(rows))


class Shop(Workshop):
    """A workshop whose table and whose files are in a bucket."""

    def __init__(self, folder: Path, moto: Moto, proxy: Faulty) -> None:
        super().__init__(folder)
        self.bucket = moto.new_bucket()
        self.s3: Any = moto.client("s3")
        settings = {**moto.settings, "AWS_ENDPOINT_URL": proxy.url, "S3_BUCKET": self.bucket}
        url = f"s3://{self.bucket}/own"
        self.machine = replace(
            self.machine,
            settings=settings | {"FILE_STORE_URL": url},
            files=S3Store.open(url, settings),
        )

    def put(self, data: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key="rows.csv", Body=data)

    async def submit_s3(self) -> str:
        await self.ledger.ready()
        wish = TaskRequest("s3", "rows.csv", chunk_size=10, id_column="id", text_columns=["text"])
        return (await submit(self.machine, wish)).task.id


@pytest.fixture
def proxy(moto: Moto) -> Iterator[Faulty]:
    with before(moto.url) as faulty:
        yield faulty


@pytest.fixture
def shop(tmp_path: Path, moto: Moto, proxy: Faulty) -> Shop:
    return Shop(tmp_path, moto, proxy)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
async def test_every_row_of_an_object_lands(shop: Shop, pack: Any) -> None:
    """Read by ranges, or through a copy in the same bucket; the copy goes, the manifests stay."""
    shop.put(pack(table(35)))
    ended = await shop.end_of(await shop.submit_s3())
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 35)
    assert len(await shop.stored()) == 35
    names = await shop.machine.files.names(f"tasks/{ended.id}/")
    assert len(names) >= 4
    assert f"tasks/{ended.id}/source.csv" not in names


@pytest.mark.parametrize(
    ("after", "words", "retried"),
    [
        (table(100, "ROW"), "has changed since it was submitted", "has changed since the task"),
        (None, "is gone from s3://", "is gone. Put it back"),
    ],
    ids=["changed", "gone"],
)
async def test_an_object_that_changes_midway_fails_the_task_and_cannot_be_retried(
    shop: Shop, after: bytes | None, words: str, retried: str
) -> None:
    """Rows of two versions never mix in one index; the chunks say what happened."""
    shop.put(table(100))
    shop.embedder.held = "row 0"
    task_id = await shop.submit_s3()
    async with shop.worker():
        await shop.embedder.entered.wait()
        await shop.ledger.until(task_id, lambda task: task.planned)
        if after is None:
            shop.s3.delete_object(Bucket=shop.bucket, Key="rows.csv")
        else:
            shop.put(after)
        shop.embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)

    assert ended.state is TaskState.FAILED
    assert words in (ended.error or "")
    assert ended.counts.accounted + ended.rows_failed == 100
    with pytest.raises(SourceChanged, match=retried):
        await steer.retry(shop.machine, task_id)


async def test_work_waits_for_a_permission_that_was_taken_away(shop: Shop, proxy: Faulty) -> None:
    """The task pauses with the grant it needs, and lands whole after it is resumed."""
    shop.put(table(35))
    task_id = await shop.submit_s3()
    proxy.always = s3_error(403, "AccessDenied")
    async with shop.worker():
        paused = await shop.ledger.until(task_id, lambda task: task.hold is Hold.PAUSED)
        proxy.always = None
        await steer.resume(shop.machine, task_id)
        ended = await shop.ledger.end_of(task_id)
    assert "grant s3:GetObject and s3:ListBucket" in (paused.reason or "")
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 35)


async def test_a_store_of_files_that_is_slow_costs_no_embedding_twice(shop: Shop, proxy: Faulty) -> None:
    """A manifest that cannot be written yet is kept in hand with what was paid for."""
    shop.put(table(10))
    task_id = await shop.submit_s3()
    refused = 0

    def fault() -> Fault | None:
        nonlocal refused
        if proxy.seen[-1][0] != "PUT" or refused >= 8:  # more than one call sits out by itself
            return None
        refused += 1
        return s3_error(503, "SlowDown")

    proxy.next_fault = fault  # type: ignore[method-assign]
    ended = await shop.end_of(task_id)
    assert (ended.state, refused, len(shop.embedder.given)) == (TaskState.COMPLETED, 8, 10)


def test_the_service_reads_and_keeps_everything_in_s3(moto: Moto, tmp_path: Path) -> None:
    """Over HTTP: an object, an upload, and each refusal with its status and its words."""
    bucket, s3 = moto.new_bucket(), moto.client("s3")
    s3.put_object(Bucket=bucket, Key="tables/it.csv", Body=table(25))
    settings = {"S3_BUCKET": bucket, "S3_PREFIX": "tables", "FILE_STORE_URL": f"s3://{bucket}/own"}
    with (
        serve(uvicorn(), tmp_path, API_KEYS=KEY, **moto.settings, **settings) as running,
        running.client(KEY) as api,
    ):
        object_id = _submitted(api, data_source="s3_csv", s3_key="it.csv", id_column="id")
        file_id = api.post("/api/v1/files", content=table(12), headers={"Content-Type": "text/csv"}).json()[
            "file_id"
        ]
        upload_id = _submitted(api, data_source="upload", file_id=file_id, namespace="uploads")
        for task_id, rows in ((object_id, 25), (upload_id, 12)):
            follow(api, task_id)
            status = api.get(f"/api/v1/status/{task_id}").json()
            assert (status["status"], status["progress"]["processed_records"]) == ("completed", rows)
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        assert f"own/uploads/{file_id}.csv" in keys
        assert any(key.startswith(f"own/tasks/{object_id}/") for key in keys)
        assert api.get("/health").json()["file_store"] == "connected"
        for key, status, code in (
            ("nothing.csv", 404, "source-not-found"),
            ("../own/uploads/a.csv", 403, "source-forbidden"),
        ):
            refused = api.post("/api/v1/process", json={"data_source": "s3_csv", "s3_key": key})
            assert (refused.status_code, refused.json()["code"]) == (status, code)


def _submitted(api: httpx2.Client, **wish: str) -> str:
    answer = api.post("/api/v1/process", json=wish)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, "local"),
        ({"S3_BUCKET": "b"}, "s3"),
        ({"S3_BUCKET": "b", "USE_LOCAL_FILES": "true"}, "local"),
        ({"USE_LOCAL_FILES": "false"}, "s3"),
        ({"S3_BUCKET": "b", "USE_LOCAL_FILES": "false"}, "s3"),
    ],
)
def test_which_settings_read_from_the_bucket(
    settings: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bucket, once there is one; the folder where it is asked for by name."""
    monkeypatch.chdir(tmp_path)
    for name in ("S3_BUCKET", "USE_LOCAL_FILES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert Origin(data_source="s3_csv", s3_key="a.csv").place(Settings()) == (kind, "a.csv")
