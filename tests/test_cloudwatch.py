"""Records of the embedded metric format: how they are made, written, and told again after a failure."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from app.cloudwatch.place import Log
from app.cloudwatch.point import Point, name_of
from app.cloudwatch.record import lines
from app.cloudwatch.reporter import Reporter, namespace_of
from app.cloudwatch.service import OfAnswers, OfEverybody
from app.cloudwatch.worker import OfWorker
from app.config import Settings
from rowvec.errors import NotConfigured, Unavailable
from rowvec.ledgers.base import Overview
from rowvec.model import WorkerInfo
from rowvec.sweeper import this_host
from tests.infrastructure.emf import told
from tests.worker_kit import PATIENCE, Workshop

pytestmark = pytest.mark.anyio
AT = 1_764_300_000.25


def test_names_are_those_of_prometheus() -> None:
    names = {
        "vectordb_rows_total": "Rows",
        "vectordb_http_request_duration_seconds": "HttpRequestDurationSeconds",
        "vectordb_task_seconds_without_progress": "TaskSecondsWithoutProgress",
    }
    assert {name: name_of(name) for name in names} == names


def test_many_values_and_many_metrics_take_several_records() -> None:
    """None is lost, each record keeps the format's limits, and is short enough for a pipe."""
    seconds = [n / 1_000_000 for n in range(1, 252)]
    points = [
        Point("HttpRequestDurationSeconds", seconds, (("method", "GET"), ("route", "/r" * 100))),
        *(Point(f"Metric{n}OfALongerNameBytes", n) for n in range(130)),
    ]
    made = list(lines("vectordb/test", points, AT))
    assert len(made) == 3 + 7
    assert max(len(line) for line in made) < 4096
    whole = told(made)
    assert whole.values["HttpRequestDurationSeconds", frozenset(points[0].dimensions)] == seconds
    assert [whole.sum(f"Metric{n}OfALongerNameBytes") for n in range(130)] == list(range(130))


def test_points_of_other_dimensions_are_in_other_records() -> None:
    points = [Point("Rows", 3, (("outcome", "upserted"),)), Point("Rows", 1, (("outcome", "rejected"),))]
    whole = told(lines("vectordb/test", points, AT))
    assert (whole.sum("Rows", outcome="upserted"), whole.sum("Rows", outcome="rejected")) == (3, 1)


def test_what_is_no_number_is_no_record() -> None:
    with pytest.raises(ValueError, match="JSON"):
        list(lines("vectordb/test", [Point("Rows", float("nan"))], AT))


@pytest.mark.parametrize("value", ["yes", "logs/metrics.json"])
def test_a_setting_that_is_no_place_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match=r"/var/log/vectordb/metrics\.json"):
        Settings(cloudwatch_metrics=value)


def test_an_environment_that_can_name_nothing_is_refused() -> None:
    assert namespace_of(Settings(environment="Staging-2 ")) == "vectordb/staging-2"
    with pytest.raises(NotConfigured, match="ENVIRONMENT"):
        namespace_of(Settings(environment="our house"))


class Refusing(Log):
    """A disk that is full after some bytes, as often as told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.times = 0

    def write(self, lines: Sequence[str]) -> None:
        if self.times:
            self.times -= 1
            raise OSError(28, "No space left on device")
        super().write(lines)


async def test_what_could_not_be_written_is_told_later(tmp_path: Path) -> None:
    """Sums are whole afterwards, and the log tells of the failure once, and of its end."""
    shop = Workshop(tmp_path)
    shop.write([f"text {n}" for n in range(40)])
    await shop.ledger.ready()
    place = Refusing(tmp_path / "metrics.json")
    place.times = 3
    async with shop.worker() as worker:
        reporter = Reporter("vectordb/test", place, [OfWorker(worker)])
        with capture_logs() as said:
            await reporter.round()
            await shop.ledger.end_of(await shop.submit())
            for _ in range(4):
                await reporter.round()
    assert [line["event"] for line in said if line["event"].startswith("cloudwatch")] == [
        "cloudwatch_not_told",
        "cloudwatch_told_again",
    ]
    whole = told((tmp_path / "metrics.json").read_text().splitlines())
    assert whole.sum("Rows", outcome="upserted") == 40
    assert whole.sum("Chunks", outcome="done") == 4
    assert whole.samples("SecondsPerThousandRows") == 1


async def test_a_last_round_tells_what_came_after_the_one_before(tmp_path: Path) -> None:
    answers, stop = OfAnswers(), asyncio.Event()
    reporter = Reporter("vectordb/test", Log(tmp_path / "metrics.json"), [answers], pause=PATIENCE)
    answers.add("GET", "/livez", 200, 0.25)
    rounds = asyncio.create_task(reporter.run(stop))
    async with asyncio.timeout(PATIENCE):
        while not (tmp_path / "metrics.json").exists():
            await asyncio.sleep(0.01)
    answers.add("GET", "/livez", 503, 0.5)
    stop.set()
    await rounds
    whole = told((tmp_path / "metrics.json").read_text().splitlines())
    assert whole.values[
        "HttpRequestDurationSeconds", frozenset({("method", "GET"), ("route", "/livez")})
    ] == [
        0.25,
        0.5,
    ]
    assert (whole.sum("HttpRequests", status="2xx"), whole.sum("HttpRequests", status="5xx")) == (1, 1)


async def test_a_failing_teller_keeps_no_other_from_telling(tmp_path: Path) -> None:
    """The ledger is away: answers are told all the same."""
    shop = Workshop(tmp_path)

    async def away() -> Overview:
        raise Unavailable("the ledger is away")

    shop.ledger.overview = away  # type: ignore[method-assign]
    place = Log(tmp_path / "metrics.json")
    reporter = Reporter("vectordb/test", place, [OfEverybody(shop.machine, tmp_path), OfAnswers()])
    with capture_logs() as said:
        await reporter.round()
    assert [line["of"] for line in said if line["event"] == "cloudwatch_not_told"] == ["OfEverybody"]
    assert told((tmp_path / "metrics.json").read_text().splitlines()).samples("ApiMemoryBytes") == 1


async def test_one_process_of_a_folder_tells_of_everybody(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    await shop.ledger.ready()
    machine = replace(shop.machine, settings={"VECTOR_STORE_URL": "memory://"})
    one, other = (OfEverybody(machine, tmp_path) for _ in range(2))
    assert {point.name for point in await one.points()} >= {"Tasks", "Workers", "Leases", "QueuedRequests"}
    assert await other.points() == []
    assert await one.points() != []


async def test_what_was_taken_back_is_told_by_who_took_it(tmp_path: Path) -> None:
    """A worker of this host whose process is gone held a plan."""
    shop = Workshop(tmp_path)
    shop.write(["one"])
    task_id = await shop.submit()
    await shop.ledger.enlist(WorkerInfo("gone", this_host(), 2**22 + 1, 0.0, 1))
    assert len(await shop.ledger.claim("gone", 1)) == 1
    async with shop.worker() as worker:
        await shop.ledger.end_of(task_id)
        points = {point.name: point.value for point in await OfWorker(worker).points()}
    assert points["PiecesTakenBack"] == 1


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """As logrotate does, without a word to anybody."""
    place, path = Log(tmp_path / "metrics.json"), tmp_path / "metrics.json"
    place.write(["one"])
    path.rename(tmp_path / "metrics.json.1")
    place.write(["two", "three"])
    assert path.read_text() == "two\nthree\n"


def test_a_disk_that_is_full_cuts_no_line(tmp_path: Path) -> None:
    """What did not fit whole is taken back, so that what comes next is a line of its own."""
    place, path = Log(tmp_path / "metrics.json"), tmp_path / "metrics.json"
    place.write(["one"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            place.write(["two", "three"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    place.write(["four"])
    assert path.read_text() == "one\nfour\n"
