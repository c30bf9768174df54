"""The short form of the embedded part: `python -m tests.chaos --only embedded` is the long one."""

from __future__ import annotations

import random
from pathlib import Path

from tests.chaos.check import problems
from tests.chaos.harness import Chaos, Setup
from tests.chaos.moments import PHASES
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
