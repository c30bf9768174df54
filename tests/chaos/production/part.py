"""The part that runs the whole production stack under kills, losses, stops, storms and provider faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.chaos import report
from tests.chaos.production.blows import KILLS, REDIS
from tests.chaos.production.check import TAKEN_OVER_WITHIN, late, problems, times_beside, times_of, too_slow
from tests.chaos.production.history import holds
from tests.chaos.production.run import Chaos, Outcome, Setup
from tests.chaos.production.takeover import taken_back, taken_over
from tests.chaos.report import Part


def whole(folder: Path, setup: Setup, tell: Callable[[str], None]) -> Part:
    """Raises when a part does not come back, or the time is over."""
    outcome = Chaos(folder, setup, tell).run()
    kinds = Counter(blow.kind for blow in outcome.blows)
    kills = sum(kinds[kind] for kind in KILLS)
    bill = outcome.bill
    return Part(
        "production",
        runs=1,
        seeds=1,
        kills=kills,
        restarts=kills + kinds[REDIS],
        faults=outcome.faults.total() + sum(kinds.values()) - kills,
        rows=setup.rows,
        paid_twice=bill.paid_twice if bill else 0,
        may=bill.may_be_paid_twice if bill else 0,
        problems=problems(outcome) + too_slow(outcome),
        seconds=outcome.seconds,
        details=_details(outcome, kinds),
    )


def _details(outcome: Outcome, kinds: Counter[str]) -> str:
    """What struck it, what the providers did, how soon others went on, and what it cost."""
    held = holds(outcome.notes)
    asked = ", ".join(f"{name} {number:,}" for name, number in outcome.asked.items())
    allowed = TAKEN_OVER_WITHIN * outcome.setup.lease
    return "\n".join(
        [
            report.counts("production: blows", dict(kinds.most_common())),
            report.counts(f"faults; requests: {asked}", dict(sorted(outcome.faults.items()))),
            report.takeovers("taken back, s", taken_back(held, outcome.blows)),
            report.takeovers("and claimed by another, s", taken_over(held, outcome.blows)),
            report.takeovers(f"while one could take it (p99: {allowed:g})", times_of(outcome)),
            report.takeovers("while one of the same host could", times_beside(outcome)),
            report.counts("what it cost", _cost(outcome)),
        ]
    )  # fmt: skip


def _cost(outcome: Outcome) -> dict[str, int]:
    bill = outcome.bill
    if bill is None:
        return {}
    return {
        "texts paid": sum(bill.billed.values()),
        "  more than once": bill.paid_twice,
        "  may have been, in flight": bill.in_flight.total(),
        "  may have been, answer lost": sum(bill.lost.values()),
        "  may have been, handed on": bill.handed_on.total(),
        "  may have been, settled": bill.settled.total(),
        "chunks that came back late": len(late(outcome)),
    }
