"""The short form of the production part: `python -m tests.chaos --only production` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.production import check, run
from tests.chaos.production.blows import BESIDE, KILLS


def test_the_production_stack_keeps_every_promise_under_each_kind_of_blow(tmp_path: Path) -> None:
    """Kills of each part, losses, a stop past the lease, a storm, and providers that fail all the while."""
    setup = run.Setup(rows=2_500, kills=5, chunk_size=50, lease=5.0, seconds=240, seed=20)

    outcome = run.Chaos(tmp_path, setup, print).run()

    assert check.problems(outcome) == []
    assert {blow.kind for blow in outcome.blows} == {*KILLS, *BESIDE}
    assert outcome.faults.total() > 0
