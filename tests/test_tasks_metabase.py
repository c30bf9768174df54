"""Tasks over a Metabase question: exported once, by whoever plans, and paid for only when it is whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rowvec import export, steer
from rowvec.errors import InvalidRequest, RowvecError, SourceChanged, SourceDamaged, WrongState
from rowvec.estimate import estimate
from rowvec.filestores.s3 import S3Store
from rowvec.housekeeping import Housekeeping
from rowvec.intake import TaskRequest, submit
from rowvec.model import Flag, Hold, Task, TaskState
from rowvec.preview import preview
from rowvec.sources.base import BrokeOff
from tests.http_service import follow, serve, uvicorn
from tests.servers.metabase import Metabase
from tests.servers.moto import Moto
from tests.worker_kit import Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]
KEY = "Zq3kT9vB2mXw7RfLh5NcYd8PsJ4gUa6E"


def table(rows: int, word: str = "row", columns: str = "id,text") -> str:
    return f"{columns}\n" + "".join(f'{n},"{word} {n},\nand more"\n' for n in range(rows))


class Shop(Workshop):
    """A workshop whose table is question 42."""

    def __init__(self, folder: Path, metabase: Metabase) -> None:
        super().__init__(folder)
        self.metabase = metabase
        self.machine = replace(self.machine, settings=metabase.settings)

    async def submit_question(self, **options: Any) -> str:
        await self.ledger.ready()
        return (await submit(self.machine, self.wish(**options))).task.id

    def wish(self, **options: Any) -> TaskRequest:
        return TaskRequest(
            "metabase", "42", **{"chunk_size": 10, "id_column": "id", "text_columns": ["text"], **options}
        )

    async def exports(self, task_id: str) -> list[str]:
        return await self.machine.files.names(f"tasks/{task_id}/export-")

    def asked(self) -> tuple[int, int]:
        """Exports that were asked for, and those that were given to their end."""
        counters = self.metabase.counters
        return counters.get("export", 0), counters.get("exported", 0)


@pytest.fixture
def shop(tmp_path: Path, metabase: Metabase) -> Shop:
    metabase.ask(42, table(35))
    return Shop(tmp_path, metabase)


def _ended(task: Task) -> tuple[TaskState, int]:
    return task.state, task.counts.upserted


# Landing


async def test_every_row_of_a_question_lands_from_one_export(shop: Shop) -> None:
    """It is asked once, by the plan, and the copy goes when the task is completed."""
    task_id = await shop.submit_question()
    assert shop.asked() == (0, 0)
    ended = await shop.end_of(task_id)
    assert _ended(ended) == (TaskState.COMPLETED, 35)
    assert (ended.spec.header, ended.spec.wish) == (("id", "text"), None)
    assert len(await shop.stored()) == 35
    assert shop.asked() == (1, 1)
    assert await shop.exports(task_id) == []


async def test_an_export_may_lie_in_a_bucket(shop: Shop, moto: Moto) -> None:
    """Then any host's worker reads it; what broke off leaves nothing there, and nothing stays at the end."""
    bucket, s3 = moto.new_bucket(), moto.client("s3")
    shop.machine = replace(shop.machine, files=S3Store.open(f"s3://{bucket}/own", moto.settings))
    filler = "x" * 40_000
    shop.metabase.ask(42, "id,text,filler\n" + "".join(f"{n},row {n},{filler}\n" for n in range(600)))
    shop.metabase.set(gzip=False)
    shop.metabase.suffer("close", after=23_000_000)
    ended = await shop.end_of(await shop.submit_question(metadata_columns=["id"]))
    assert _ended(ended) == (TaskState.COMPLETED, 600)
    assert shop.asked() == (2, 1)
    assert await shop.exports(ended.id) == []
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


async def test_a_question_without_rows_completes(shop: Shop) -> None:
    """A header and no rows is a finished task of no rows."""
    shop.metabase.ask(42, "id,text\n")
    assert _ended(await shop.end_of(await shop.submit_question())) == (TaskState.COMPLETED, 0)


async def test_types_and_columns_are_those_of_the_table(shop: Shop) -> None:
    """What is not said is found out from the rows, as for a file; what is said holds."""
    shop.metabase.ask(42, "id,text,price,code\n1,a,2.5,007\n2,b,3,008\n")
    asked = await shop.end_of(await shop.submit_question(metadata_types={"code": "string"}))
    assert dict(asked.spec.types) == {"id": "number", "text": "string", "price": "number", "code": "string"}
    chosen = await shop.end_of(await shop.submit_question(metadata_columns=[], namespace="other"))
    assert (chosen.spec.metadata_columns, dict(chosen.spec.types)) == ((), {})


async def test_submitting_a_running_question_again_points_to_it(shop: Shop) -> None:
    """Before its export and after; another wish for the same question is another task."""
    shop.embedder.held = "row 0,"
    task_id = await shop.submit_question()
    assert await shop.submit_question() == task_id
    async with shop.worker():
        await shop.embedder.entered.wait()
        assert await shop.submit_question() == task_id
        assert await shop.submit_question(id_prefix="x") != task_id
        shop.embedder.opened.set()
        await shop.ledger.end_of(task_id)


# Exports that fail


@pytest.mark.parametrize("kind", ["close", "truncate"])
async def test_an_export_that_breaks_off_is_made_again(shop: Shop, kind: str) -> None:
    """Nothing of the broken one is used."""
    shop.metabase.suffer(kind, after=30, times=2)
    ended = await shop.end_of(await shop.submit_question())
    assert _ended(ended) == (TaskState.COMPLETED, 35)
    assert shop.asked()[0] == 3


async def test_an_export_that_breaks_off_every_time_fails_the_task(shop: Shop) -> None:
    """After three of them, with the reason; a retry asks again and lands."""
    shop.metabase.suffer("truncate", after=30, times=3)
    failed = await shop.end_of(await shop.submit_question())
    assert (failed.state, shop.embedder.given) == (TaskState.FAILED, [])
    assert "The export broke off 3 times. The last time: Metabase cut the export off" in (failed.error or "")
    assert await shop.exports(failed.id) == []
    await steer.retry(shop.machine, failed.id)
    assert _ended(await shop.end_of(failed.id)) == (TaskState.COMPLETED, 35)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "error_inside", "after": 40}, "broke off after 1 rows with an error: Query exceeded"),
        ({"kind": "error_instead"}, "is an error in place of a table: Query exceeded the time limit."),
    ],
)
async def test_a_query_that_fails_fails_the_task_before_anything_is_spent(
    shop: Shop, fault: dict[str, Any], words: str
) -> None:
    """Under a 200; what came before the error is not taken for the table."""
    shop.metabase.suffer(**fault)
    failed = await shop.end_of(await shop.submit_question())
    assert (failed.state, shop.embedder.given, await shop.exports(failed.id)) == (TaskState.FAILED, [], [])
    assert words in (failed.error or "")


async def test_a_suspicious_number_of_rows_fails_unless_it_was_allowed(shop: Shop) -> None:
    """The reason names the way out, and the way works."""
    shop.metabase.ask(42, table(2000))
    failed = await shop.end_of(await shop.submit_question(chunk_size=1000))
    assert failed.state is TaskState.FAILED
    assert "allow_row_cap: true" in (failed.error or "")
    allowed = await shop.submit_question(chunk_size=1000, allow_row_cap=True)
    assert _ended(await shop.end_of(allowed)) == (TaskState.COMPLETED, 2000)


async def test_weather_before_the_first_row_is_sat_out(shop: Shop) -> None:
    """More often than an export may break off."""
    shop.metabase.suffer("status", status=503, retry_after=0.01, times=4)
    shop.metabase.suffer("status", status=429, retry_after=0.01, times=4)
    assert _ended(await shop.end_of(await shop.submit_question())) == (TaskState.COMPLETED, 35)
    assert shop.asked() == (9, 1)


async def test_a_key_that_is_revoked_pauses_the_task_until_it_is_right_again(shop: Shop) -> None:
    """Submitted with a good key: the task waits in words, and lands after resuming."""
    task_id = await shop.submit_question()
    shop.metabase.set(api_key="another")
    async with shop.worker():
        paused = await shop.ledger.until(task_id, lambda task: task.hold is Hold.PAUSED)
        shop.metabase.set(api_key=shop.metabase.settings["METABASE_API_KEY"])
        await steer.resume(shop.machine, task_id)
        ended = await shop.ledger.end_of(task_id)
    assert "refuses METABASE_API_KEY" in (paused.reason or "")
    assert _ended(ended) == (TaskState.COMPLETED, 35)


async def test_a_question_that_is_deleted_before_its_export_fails_the_task(shop: Shop) -> None:
    """And a retry is refused as long as it is gone."""
    task_id = await shop.submit_question()
    shop.metabase.forget(42)
    failed = await shop.end_of(task_id)
    assert failed.state is TaskState.FAILED
    assert "There is no question 42" in (failed.error or "")
    with pytest.raises(SourceChanged, match="'42' is gone"):
        await steer.retry(shop.machine, task_id)
    with pytest.raises(WrongState, match="has no rows to repair"):
        await submit(shop.machine, TaskRequest("local", "rows.csv", parent_id=task_id))


async def test_an_export_beyond_the_bytes_of_the_service_fails(shop: Shop) -> None:
    """The setting is named."""
    limits = replace(shop.machine.limits, max_decompressed_bytes=100)
    shop.machine = replace(shop.machine, limits=limits)
    failed = await shop.end_of(await shop.submit_question())
    assert failed.state is TaskState.FAILED
    assert "MAX_DECOMPRESSED_BYTES" in (failed.error or "")


# What the table does not have


FAULTS = [
    (table(3, columns="id,id"), {}, "The header on line 1 has the name 'id' more than once"),
    (table(3, columns="id,"), {}, "gives no name to column 2 of 2"),
    (table(3), {"id_column": "key"}, "id_column names 'key', which the file does not have"),
    (table(3), {"text_columns": ["title"]}, "Its columns are 'id', 'text'."),
    (table(3), {"text_columns": (), "text_template": "{title}"}, "title"),
    (table(3), {"metadata_columns": ["x"]}, "metadata_columns names 'x'"),
    (table(3), {"date_column": "day", "start_date": "2025-01-01"}, "date_column names 'day'"),
]


@pytest.mark.parametrize(("text", "options", "words"), FAULTS)
async def test_what_the_table_does_not_have_fails_the_task_in_the_words_of_the_door(
    shop: Shop, tmp_path: Path, text: str, options: dict[str, Any], words: str
) -> None:
    """The same that a file is refused with, before anything is embedded; nothing is kept of the export."""
    shop.metabase.ask(42, text)
    failed = await shop.end_of(await shop.submit_question(**options))
    (tmp_path / "rows.csv").write_text(text)
    shop.machine = replace(shop.machine, settings=shop.metabase.settings | {"LOCAL_FILES_DIR": str(tmp_path)})
    with pytest.raises(RowvecError) as refused:
        await submit(shop.machine, replace(shop.wish(**options), source="local", ref="rows.csv"))
    assert (failed.state, shop.embedder.given) == (TaskState.FAILED, [])
    assert words in (failed.error or "")
    assert failed.error == f"{refused.value.message} Nothing was embedded."
    assert await shop.exports(failed.id) == []


async def test_a_mended_question_lands_on_a_retry(shop: Shop) -> None:
    """An export that did not fit is not used again."""
    shop.metabase.ask(42, table(35, columns="key,text"))
    failed = await shop.end_of(await shop.submit_question())
    shop.metabase.ask(42, table(35))
    await steer.retry(shop.machine, failed.id)
    assert _ended(await shop.end_of(failed.id)) == (TaskState.COMPLETED, 35)


# Crashes and steering


async def test_a_finished_export_is_used_by_the_next_claim(shop: Shop) -> None:
    """A plan that dies between the export and the ledger asks Metabase for nothing twice."""
    shop.ledger.outages = {"pinned": 2}
    ended = await shop.end_of(await shop.submit_question())
    assert _ended(ended) == (TaskState.COMPLETED, 35)
    assert (ended.fence > 2, shop.asked()) == (True, (1, 1))


async def test_an_export_is_used_by_a_plan_begun_anew(shop: Shop) -> None:
    """Once the spec is closed the table is never asked for again, whatever happens to the scan."""
    shop.ledger.outages = {"append_chunks": 2}
    assert _ended(await shop.end_of(await shop.submit_question())) == (TaskState.COMPLETED, 35)
    assert shop.asked() == (1, 1)


async def test_a_killed_export_is_made_again(shop: Shop) -> None:
    """What was half written is not there; the next worker begins anew."""
    task_id = await shop.submit_question()
    shop.metabase.suffer("slow", seconds=60)
    async with shop.worker(grace=0.0):
        await _until(lambda: shop.asked()[0] == 1)
    assert await shop.exports(task_id) == []
    assert _ended(await shop.end_of(task_id)) == (TaskState.COMPLETED, 35)
    assert shop.asked()[0] == 2


async def test_a_paused_task_lets_go_of_its_export(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that runs for long does not keep a caller from pausing; it is made again after."""
    monkeypatch.setattr(export, "LOOK_EVERY_SECONDS", 0.05)
    task_id = await shop.submit_question()
    shop.metabase.suffer("slow", seconds=60)
    async with shop.worker():
        await _until(lambda: shop.asked()[0] == 1)
        await shop.ledger.flag(task_id, Flag.PAUSE, "lunch")
        await shop.ledger.until(task_id, lambda task: task.hold is Hold.PAUSED and task.worker is None)
        await shop.ledger.flag(task_id, Flag.RESUME)
        ended = await shop.ledger.end_of(task_id)
    assert _ended(ended) == (TaskState.COMPLETED, 35)


async def test_failed_chunks_are_retried_from_the_same_export(shop: Shop) -> None:
    """Whatever the question gives by now: rows of two exports never mix."""
    task_id = await shop.submit_question()
    shop.embedder.ailing = {"row 23,": ZeroDivisionError("a bug of ours")}
    failed = await shop.end_of(task_id)
    assert _ended(failed) == (TaskState.FAILED, 25)
    shop.metabase.ask(42, table(35, "ROW"))
    shop.embedder.ailing = {}
    await steer.retry(shop.machine, task_id)
    assert _ended(await shop.end_of(task_id)) == (TaskState.COMPLETED, 35)
    assert shop.asked() == (1, 1)
    assert not any("ROW" in text for text in shop.embedder.given)


async def test_a_retry_without_the_export_is_refused(shop: Shop) -> None:
    """The question may give other rows now, and some of the old ones have landed."""
    task_id = await shop.submit_question()
    shop.embedder.ailing = {"row 23,": ZeroDivisionError("a bug of ours")}
    await shop.end_of(task_id)
    (name,) = await shop.exports(task_id)
    await shop.machine.files.delete(name)
    with pytest.raises(SourceChanged, match=r"The export of metabase '42'.* is gone"):
        await steer.retry(shop.machine, task_id)


async def test_an_export_that_comes_late_replaces_none(shop: Shop) -> None:
    """A worker that was taken for dead writes under its own fence; the one in the ledger is read."""
    task_id = await shop.submit_question()
    shop.embedder.held = "row 0,"
    async with shop.worker():
        await shop.embedder.entered.wait()
        (name,) = await shop.exports(task_id)
        await shop.machine.files.write(f"tasks/{task_id}/export-0.csv", table(35, "LATE").encode())
        shop.embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)
    assert (_ended(ended), ended.spec.source.version) == ((TaskState.COMPLETED, 35), name)
    assert not any("LATE" in text for text in shop.embedder.given)
    assert await shop.exports(task_id) == []


async def test_exports_of_a_process_that_died_over_them_go(shop: Shop) -> None:
    """Whoever keeps house takes them, once the task has ended; before, they are somebody's."""
    task_id = await shop.submit_question()
    shop.embedder.held = "row 0,"
    async with shop.worker():
        await shop.embedder.entered.wait()
        at_work = await shop.exports(task_id)
        await Housekeeping(shop.machine).slow()
        kept = await shop.exports(task_id)
        shop.embedder.opened.set()
        await shop.ledger.end_of(task_id)
    await shop.machine.files.write(at_work[0], b"id,text\n")
    await Housekeeping(shop.machine).slow()
    assert (len(kept), await shop.exports(task_id)) == (1, [])


async def _until(true: Any) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0)


# What does not go together


@pytest.mark.parametrize("field", ["delimiter", "encoding", "parent_id"])
async def test_options_of_files_are_refused(shop: Shop, field: str) -> None:
    """They would be ignored in silence otherwise."""
    options = {field: "," if field != "parent_id" else (await shop.end_of(await shop.submit_question())).id}
    with pytest.raises(InvalidRequest, match=f"{field} goes with files") as refused:
        await submit(shop.machine, shop.wish(**options))
    assert refused.value.field == field


async def test_allowing_a_cap_goes_with_exports_only(shop: Shop) -> None:
    """A file is never cut by a number of rows."""
    with pytest.raises(InvalidRequest, match="goes with data_source 'metabase'"):
        await submit(shop.machine, TaskRequest("local", "rows.csv", allow_row_cap=True))


# Estimates


async def test_an_estimate_exports_the_question_and_keeps_nothing(shop: Shop, tmp_path: Path) -> None:
    """Its numbers are those of the task that follows, which exports anew: by then the rows may be others."""
    found = await estimate(shop.machine, shop.wish())
    assert shop.asked() == (1, 1)
    assert (found.rows, found.chunks, found.exact, found.rows_to_embed) == (35, 4, True, 35)
    assert not any(path.is_file() for path in (tmp_path / "files").rglob("*"))
    ended = await shop.end_of(await shop.submit_question())
    assert (found.tokens, found.bytes) == (ended.counts.tokens, ended.spec.source.size)
    assert shop.asked() == (2, 2)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"kind": "truncate", "after": 60}, BrokeOff, "cut the export off"),
        ({"kind": "error_inside", "after": 60}, SourceDamaged, "broke off after"),
    ],
)
async def test_an_estimate_is_of_a_whole_export_or_none(
    shop: Shop, fault: dict[str, Any], error: type[RowvecError], words: str
) -> None:
    """What a task would not take for whole is no ground for an estimate."""
    shop.metabase.suffer(**fault)
    with pytest.raises(error, match=words):
        await estimate(shop.machine, shop.wish())


async def test_an_estimate_says_what_is_wrong_with_the_table(shop: Shop) -> None:
    """A column that is not there is refused in the words of a file; more than may be unpacked, too."""
    with pytest.raises(InvalidRequest, match="'price', which the file does not have"):
        await estimate(shop.machine, shop.wish(text_columns=["price"]))
    shop.machine = replace(shop.machine, limits=replace(shop.machine.limits, max_decompressed_bytes=100))
    with pytest.raises(SourceDamaged, match="MAX_DECOMPRESSED_BYTES"):
        await estimate(shop.machine, shop.wish())


async def test_a_preview_exports_until_its_rows_are_there(shop: Shop, tmp_path: Path) -> None:
    """Columns and types are those of the export, and nothing of it is kept."""
    found = await preview(shop.machine, shop.wish(), 3)
    assert [row.number for row in found.rows] == [1, 2, 3]
    assert {row.outcome for row in found.rows} == {"embedded"} and found.spec.types
    assert found.spec.wish is None and found.spec.source.kind == "metabase"
    assert not any(path.is_file() for path in (tmp_path / "files").rglob("*"))
    with pytest.raises(InvalidRequest, match="'price', which the file does not have"):
        await preview(shop.machine, shop.wish(text_columns=["price"]))


# Over HTTP


def test_a_question_over_http_in_the_embedded_mode(metabase: Metabase, tmp_path: Path) -> None:
    """From the submission to the search; refusals have their statuses and their words."""
    metabase.ask(42, 'id,title,price\n1,"Desk lamp, small",1200.5\n2,Garden hose,30\n3,broken\n')
    metabase.ask(43, table(3), forbidden=1)
    with (
        serve(uvicorn(), tmp_path, API_KEYS=KEY, **metabase.settings) as running,
        running.client(KEY) as api,
    ):
        wish = {"data_source": "metabase", "question_id": 42, "id_column": "id"}
        estimated = api.post("/api/v1/estimate", json=wish)
        assert (estimated.status_code, estimated.json()["rows_to_embed"]) == (200, 2), estimated.text
        accepted = api.post("/api/v1/process", json=wish)
        assert accepted.status_code == 202, accepted.text
        task_id = accepted.json()["task_id"]
        follow(api, task_id)
        status = api.get(f"/api/v1/status/{task_id}").json()
        assert (status["status"], status["error"]) == ("completed", None)
        assert status["progress"]["processed_records"] == 2
        assert status["analysis"]["bytes"] > 50
        assert status["source"] == {"kind": "metabase", "ref": "42"}
        found = api.post("/api/v1/search", json={"query": "light for a desk", "limit": 1}).json()
        assert found["matches"][0]["metadata"]["price"] == 1200.5
        _refused(api, wish | {"question_id": 44}, 404, "source-not-found", "There is no question 44")
        _refused(api, wish | {"question_id": 43}, 403, "source-forbidden", "see question 43")
        metabase.set(api_key="another")
        _refused(api, wish, 503, "credentials-refused", "refuses METABASE_API_KEY")


def _refused(api: httpx2.Client, wish: dict[str, Any], status: int, code: str, words: str) -> None:
    answer = api.post("/api/v1/process", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]
