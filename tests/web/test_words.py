"""Numbers, states and paces as the pages tell them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.api.status import StatusView
from app.web import words
from app.web.bar import LEAST, WIDTH, parts, share_done
from app.web.pace import Commit, pace_of
from rowvec.analysis import Analysis
from rowvec.model import Counts, Hold, Task, TaskState
from tests.contracts.ledger_kit import spec

TABLE = Analysis(100, ("id",), "utf-8", "", ",", 1000)


def view(state: TaskState, waits_for: str | None = None, **values: object) -> StatusView:
    task = Task("00000000-0000-4000-8000-000000000000", spec(), state, **values)  # type: ignore[arg-type]
    return StatusView.of(task, 100.0, TABLE, None, waits_for)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (words.number(None), "–"),
        (words.number(1234567), "1,234,567"),
        (words.number(3.14159), "3.1"),
        (words.number(1234.5), "1,234"),
        (words.percent(0.9999), "99.9\u00a0%"),
        (words.percent(1.0), "100\u00a0%"),
        (words.percent(0.00001), "<\u00a00.1\u00a0%"),
        (words.size(999), "999 bytes"),
        (words.size(1_500), "1.5 kB"),
        (words.size(3_000_000_000_000), "3.0 TB"),
        (words.dollars(0), "$0.00"),
        (words.dollars(0.001), "< $0.01"),
        (words.dollars(1234.5), "$1,234.50"),
        (words.duration(1.84), "1.8 s"),
        (words.duration(59.7), "1 min"),
        (words.duration(3 * 3600 + 62), "3 h 1 min"),
        (words.duration(2 * 86400), "2 d"),
        (words.moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), "2026-01-02 03:04:05 UTC"),
        (words.rows(1), "1 row"),
    ],
)
def test_numbers_are_told_as_people_do(told: str, expected: str) -> None:
    """Never all before it is all, nor nothing once it is something."""
    assert told == expected


@pytest.mark.parametrize(
    ("seen", "workers", "headline", "part"),
    [
        (view(TaskState.PENDING), 1, words.WILL_RESOLVE, "takes it up by itself"),
        (view(TaskState.PENDING), 0, words.NEEDS_YOU, "No worker is alive"),
        (view(TaskState.PROCESSING, planned=True), 1, words.NOTHING, "being embedded"),
        (view(TaskState.PROCESSING), 1, words.NOTHING, "still being scanned"),
        (view(TaskState.PROCESSING, "OpenAI's token limit, 12 s"), 1, words.WILL_RESOLVE, "12 s"),
        (view(TaskState.PROCESSING, hold=Hold.PAUSED, reason="no money"), 1, words.NEEDS_YOU, "No money."),
        (view(TaskState.PROCESSING, hold=Hold.CANCELLING), 1, words.WILL_RESOLVE, "at work end first"),
        (view(TaskState.FAILED, error="Chunk 3 failed."), 1, words.NEEDS_YOU, "Chunk 3 failed."),
        (view(TaskState.COMPLETED, planned=True), 1, words.NOTHING, "The source has no rows."),
        (view(TaskState.CANCELLED, counts=Counts(upserted=7, rejected=2)), 0, words.NOTHING, "7 rows landed"),
        (view(TaskState.COMPLETED, counts=Counts(rejected=2)), 0, words.NEEDS_YOU, "2 rows could not"),
    ],
)
def test_a_task_says_whether_somebody_must_act(
    seen: StatusView, workers: int, headline: str, part: str
) -> None:
    """And what for."""
    told = words.situation(seen, workers)
    assert told.headline == headline and part in told.words


def test_the_parts_of_a_bar_are_the_rows() -> None:
    """Side by side, as wide as there are rows of them; what is open stays empty."""
    counts = Counts(read=75, upserted=50, filtered=5, rejected=20)
    seen = view(TaskState.PROCESSING, counts=counts, rows_planned=200, rows_failed=25, planned=True)
    shown = [(part.name, part.start, part.width) for part in parts(seen)]
    assert shown == [
        ("upserted", 0, 250), ("filtered", 250, 25), ("rejected", 275, 100), ("failed", 375, 125),
    ]  # fmt: skip
    assert share_done(seen) == 75 / 200 and WIDTH == 1000
    few = view(
        TaskState.COMPLETED, counts=Counts(read=10**6, upserted=10**6 - 1, rejected=1), rows_planned=10**6
    )
    assert [(part.name, part.start, part.width) for part in parts(few)] == [
        ("upserted", 0, WIDTH - LEAST), ("rejected", WIDTH - LEAST, LEAST),
    ]  # fmt: skip
    assert share_done(view(TaskState.PROCESSING)) is None
    assert share_done(view(TaskState.COMPLETED, planned=True)) == 1.0


def test_a_pace_holds_every_row() -> None:
    """In whatever steps; nothing is drawn before the first chunk."""
    commits = [Commit(1000.0 + second, 7.0) for second in range(1, 300)]
    pace = pace_of(commits, 1000.0, 1300.0, is_over=False)
    assert sum(rate for _, rate in pace.points) * pace.every == pytest.approx(7.0 * 299, rel=0.02)
    assert 1 < len(pace.points) <= 90 and 0 < pace.points[0][0] < pace.points[-1][0] < 300
    assert pace.now == pytest.approx(6.3)
    assert pace_of(commits, 1000.0, 1300.0, is_over=True).now is None
    assert pace_of([], 1000.0, 1300.0, is_over=False).points == ()
    assert pace_of(commits, None, 1300.0, is_over=False).points == ()
