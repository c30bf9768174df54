"""The benchmarks: what they read, what they write, and that they still run. No time is judged here."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import report
from benchmarks.budget import Use
from benchmarks.findings import Findings, Plot, Table, at_least, at_most
from benchmarks.latency import percentile
from benchmarks.ledger_seed import seed_ledger
from benchmarks.pace import pace
from benchmarks.process import Account, cpu_seconds, memory_mb, peak_mb
from benchmarks.readings import Readings
from benchmarks.section import Section
from benchmarks.service import PASSED_ON
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import Counts, Task
from tests.servers.postgres import PostgresServer

ROOT = Path(__file__).parent.parent

BURN = """
import time
while time.process_time() < 0.5: pass
burnt = time.process_time()
print(burnt, flush=True); input()
"""
HOLD = """
held = bytearray(b"x" * 80_000_000); print(flush=True); input()
del held; print(flush=True); input()
"""


@contextmanager
def child(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python that runs `code`; it goes on at each line it is sent."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_cpu_is_what_the_process_itself_counts() -> None:
    """A child that burns half a second tells how much it was; the system's account agrees to its steps."""
    with child(BURN) as process:
        burnt = float(heard(process))
        read = cpu_seconds(process.pid)
    assert burnt == pytest.approx(read, abs=0.05)


def test_cpu_of_a_child_that_was_waited_for_is_its_parents() -> None:
    """What a process had done by others, and waited for, is on its account."""
    run = f"subprocess.run([sys.executable, '-c', {BURN!r}], input='\\n', text=True)"
    with child(f"import subprocess, sys; {run}; print(flush=True); input()") as process:
        burnt, _ = float(heard(process)), heard(process)
        assert cpu_seconds(process.pid) >= burnt - 0.02


def test_an_account_begins_when_it_is_opened() -> None:
    """What was used before does not count, and what this process uses is not that of others."""
    with child(BURN) as process:
        heard(process)
        account = Account(process.pid)
        (spent,), others = account.spent()
    assert spent < 0.25
    assert 0 <= others <= 1


def test_a_peak_stays_when_the_memory_is_let_go() -> None:
    """80 MB held and freed again are in the peak and no longer in use."""
    with child(HOLD) as process:
        heard(process)
        full = memory_mb(process.pid)
        go_on(process)
        heard(process)
        peak, after = peak_mb(process.pid), memory_mb(process.pid)
    assert full > 80
    assert after < full - 75
    assert peak > full - 1


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_the_least_sample_that_enough_do_not_exceed(
    samples: list[float], percent: float
) -> None:
    """It is one of the samples; enough are at or below it, and too few are below it."""
    found = percentile(samples, percent)
    assert found in samples
    assert 100 * sum(sample <= found for sample in samples) >= percent * len(samples) * (1 - 1e-9)
    below = sum(sample < found for sample in samples)
    assert below == 0 or 100 * below < percent * len(samples) * (1 + 1e-9)


def test_known_percentiles() -> None:
    """Of 1 to 200 in any order, 99 % are 198 or less; of one sample each percentile is that one."""
    assert [percentile(range(200, 0, -1), share) for share in (0, 50, 99, 100)] == [1, 100, 198, 200]
    assert percentile([7.5], 99) == 7.5
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 99)


def presented(readings: Mapping[str, float]) -> Findings:
    value = readings.get("1")
    plot = Plot("line", "A line", "rows", "MB", {"one": [(1, 2), (2, value or 0)]})
    goals = [
        at_most("low enough", 10, "ms", float, value),
        at_least("high enough", 10, "rows/s", float, value),
        at_most("never measured", 1, "MB", float, None),
    ]
    return Findings([Table(("a", "b"), [("1", str(value))])], goals, [plot])


SECTION = Section("example", "An example", float, lambda _folder, _sizes: iter(()), presented)
PAGE = f"# Title\n\nProse before.\n\n{report.BEGIN}\nold figures\n{report.END}\n\nProse after,\nto the end.\n"


def test_the_prose_around_the_report_stays(tmp_path: Path) -> None:
    """All outside the two marks is kept to the letter; the figures between them are new, and so they stay."""
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    readings = Readings.none().with_reading("example", "1", 12.5)

    report.write_report(page, tmp_path / "pictures", [SECTION], readings)
    once = page.read_text()
    report.write_report(page, tmp_path / "pictures", [SECTION], readings)

    before, _, rest = once.partition(report.BEGIN)
    between, _, after = rest.partition(report.END)
    assert (before, after) == (PAGE.partition(report.BEGIN)[0], PAGE.partition(report.END)[2])
    assert "old figures" not in between and "| 1 | 12.5 |" in between
    assert "(pictures/line.svg)" in between
    assert "<svg" in (tmp_path / "pictures" / "line.svg").read_text()
    assert page.read_text() == once


@pytest.mark.parametrize("page", ["no marks", report.BEGIN, report.END + report.BEGIN, PAGE + PAGE])
def test_a_page_without_its_marks_is_left_alone(tmp_path: Path, page: str) -> None:
    """Better no report than one in the wrong place."""
    path = tmp_path / "page.md"
    path.write_text(page)
    with pytest.raises(ValueError, match="these two lines once each"):
        report.write_report(path, tmp_path, [SECTION], Readings.none())
    assert path.read_text() == page


def test_a_missed_goal_is_told_as_missed() -> None:
    """Met, missed and not measured each stand in the table with their figure."""
    told = "\n".join(report.told([SECTION], Readings.none().with_reading("example", "1", 12.5)))
    assert "| low enough | ≤ 10 ms | 12.5 ms | **missed** |" in told
    assert "| high enough | ≥ 10 rows/s | 12.5 rows/s | met |" in told
    assert "| never measured | ≤ 1 MB | – | not measured |" in told
    assert "Python 3." in told and " UTC" in told


def test_the_pace_of_the_machine_is_told_beside_what_was_measured_at_it() -> None:
    """From the fastest to the slowest reading; nothing where nobody asked for it."""
    readings = Readings.none().with_reading("example", "1", 12.5)
    assert "pace" not in "\n".join(report.told([SECTION], readings))
    readings = readings.with_reading("example", "2", 1.0, 411.7).with_reading("example", "3", 1.0, 298.2)
    assert "The machine's pace: 298 to 412 µs." in "\n".join(report.told([SECTION], readings))
    assert 0 < pace() < 1e6


def test_readings_come_back_from_their_file_unless_of_another_machine(tmp_path: Path) -> None:
    """A part measured anew takes the place of its old reading, beside the others; machines do not mix."""
    path = tmp_path / "deep" / "readings.json"
    readings = Readings.none().with_reading("example", "10", 1.0).with_reading("example", "9", 2.0)
    readings.with_reading("example", "10", 3.0).save(path)
    assert Readings.load(path).of("example", float) == {"9": 2.0, "10": 3.0}
    Readings("another machine", readings.sections).save(path)
    assert Readings.load(path).sections == {}


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer) -> str:
    return (
        postgres_server.new_schema() if request.param == "postgresql" else f"sqlite:///{tmp_path}/ledger.db"
    )


def test_a_seeded_ledger_keeps_the_law(ledger_url: str) -> None:
    """Read through the contract: every task has ended, has its chunks, and accounts for every row."""
    seeded = seed_ledger(ledger_url, 40)

    async def read() -> list[tuple[Task, list[Counts]]]:
        ledger = SqlLedger.open(ledger_url, {})
        await ledger.ready()
        tasks = (await ledger.tasks(limit=100)).tasks
        found = [(task, [c.counts for c in await ledger.chunks(task.id, limit=1000)]) for task in tasks]
        await ledger.close()
        return found

    found = asyncio.run(read())
    assert [task.id for task, _ in reversed(found)] == list(seeded.ids)
    assert sum(len(counts) for _, counts in found) == seeded.chunks
    assert set(Counter(task.state.value for task, _ in found)) == {"completed", "failed", "cancelled"}
    for task, counts in found:
        assert task.state.ended and len(counts) == task.chunks_total
        assert sum(counts, Counts()) == task.counts
        assert (task.unprocessed == 0) == (task.state == "completed")


def test_the_share_of_a_budget_leaves_out_what_a_full_bucket_gives() -> None:
    """5 million tokens a minute: 10 million take 120 s, of which the bucket gives four."""
    use = Use(50_000, 50_000, 125.0, 10_000_000, 300, 3, 0, 1e6, 7.5, 0.0, [])
    assert (use.share, use.refused_percent) == pytest.approx((116 / 125, 1.0))


def test_a_part_of_the_benchmarks_runs() -> None:
    """The real service, a small task through it, and a row of figures for it."""
    command = [sys.executable, "-m", "benchmarks", "--only", "overhead", "--overhead-rows", "1500"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    (figures,) = [line for line in run.stdout.splitlines() if line.startswith("| 1,500 |")]
    assert len(figures.split("|")) == 14
    assert "PYTHONDONTWRITEBYTECODE" not in PASSED_ON
