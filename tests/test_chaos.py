"""The short form of the chaos run: `python -m tests.chaos` is the long one."""

from __future__ import annotations

import random
from pathlib import Path

from tests.chaos.check import problems
from tests.chaos.harness import Chaos, Setup
from tests.chaos.moments import PHASES
from tests.chaos.production import check, run
from tests.chaos.production.blows import BESIDE, KILLS
from tests.chaos.table import make_table

SEED = 20


def test_nothing_is_lost_doubled_or_paid_twice_when_all_is_killed_in_every_phase(
    tmp_path: Path,
) -> None:
    """After a SIGKILL in planning, embedding, storing, committing and settling, the end is as without one."""
    table = make_table(rows=2_000, seed=SEED, doubled=0.05)
    setup = Setup(kills=6, chunk_size=50, embedder="memory", pace=0.1, seconds=120)

    run = Chaos(tmp_path, table, setup, random.Random(SEED), print).run()

    assert problems(run) == []
    assert set(PHASES) <= run.kills_by_phase.keys()


def test_the_production_stack_keeps_every_promise_under_each_kind_of_blow(tmp_path: Path) -> None:
    """Kills of each part, losses, a stop past the lease, a storm, and providers that fail all the while."""
    setup = run.Setup(rows=4_000, kills=5, chunk_size=50, lease=5.0, seconds=240, seed=SEED)

    outcome = run.Chaos(tmp_path, setup, print).run()

    assert check.problems(outcome) == []
    assert {blow.kind for blow in outcome.blows} == {*KILLS, *BESIDE}
    assert outcome.faults.total() > 0
