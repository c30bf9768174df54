"""The whole machine under a seeded scheduler: `python -m tests.simulation --seeds 1000` is the long form."""

from __future__ import annotations

import pytest

from tests.simulation.run import run

SEEDS = 100


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_nothing_is_lost_doubled_wrong_or_paid_twice_whatever_goes_wrong(first: int) -> None:
    """Crashes, stops, lost answers, clock jumps, refusals and wishes at any moment: the end is right."""
    results = [run(seed) for seed in range(first, first + 10)]
    assert {result.seed: result.problems for result in results if result.problems} == {}
    assert sum(result.faults.total() for result in results) > 0
