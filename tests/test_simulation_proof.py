"""What the simulation is worth: it is the same again, and it catches machines that are broken."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from rowvec.ledgers.books import work
from tests.simulation import broken
from tests.simulation.faults import Rates
from tests.simulation.run import run

ROOT = Path(__file__).parent.parent
STOPS = Rates(steps_to_stop=40)
"""Processes are stopped, often past their lease, and go on; nothing else goes wrong."""
MANY_STOPS = Rates(steps_to_stop=20)
CALM = Rates()
TELLING = ((1, None), (3, None), (6, None), (9, None), (74, MANY_STOPS), (105, MANY_STOPS))
"""Few seeds that catch every broken machine."""


@pytest.mark.parametrize("seed", [16, 23, 27])
def test_a_row_that_the_store_refuses_takes_nothing_of_another_row_along(seed: int) -> None:
    """An earlier row with its id, in another chunk, had landed; its vector went with the refused one."""
    assert run(seed).problems == []


def test_a_worker_that_was_stopped_past_its_lease_writes_no_more_vectors() -> None:
    """Stopped while it asked whether it may, it took the old answer for a new one: over the winner of a
    doubled id, after the task was completed."""
    assert [run(seed, STOPS).problems for seed in (48, 72)] == [[], []]


def test_a_task_that_is_cancelled_while_it_settles_counts_what_settling_has_found() -> None:
    """Its doubles are doubles; the law once called that wrong."""
    assert run(197).problems == []


@pytest.mark.parametrize("seed", [630, 729])
def test_old_passages_go_though_the_clock_was_set_back_since(seed: int) -> None:
    """The task that wrote them was submitted earlier, at a later time."""
    assert run(seed).problems == []


@pytest.mark.parametrize("seed", [2, 20])
def test_an_error_that_nobody_expects_ends_the_run_and_is_told(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a ledger that is served at the other end of a wire, and in one in the process's own hands."""

    def commit(*arguments: object) -> None:
        raise KeyError("nobody expects this")

    monkeypatch.setattr(work, "commit", commit)
    problems = [problem.words for problem in run(seed, CALM).problems]
    assert any("KeyError('nobody expects this') at" in words for words in problems), problems


def test_a_seed_gives_the_same_run_again() -> None:
    """To the last letter, for both ledgers, also in another process with other hashes."""
    here = {seed: run(seed).digest for seed in (20, 13, 20)}
    assert here == {seed: run(seed).digest for seed in (13, 20)}
    assert here[13] == _digest_elsewhere(13)


def _digest_elsewhere(seed: int) -> str:
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed)]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


@pytest.mark.parametrize("variant", broken.VARIANTS, ids=lambda variant: variant.__name__)
def test_a_broken_machine_is_caught(variant: Callable[[], AbstractContextManager[None]]) -> None:
    """By at least one of a few seeds, all of which let the sound machine pass."""
    caught = []
    for seed, rates in TELLING:
        with variant():
            caught += run(seed, rates).problems
    assert caught != []
