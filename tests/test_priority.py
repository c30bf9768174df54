"""Workers stand back for whoever else wants a processor of their host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.workers.priority import NICENESS

SEEN = """
import os
from pathlib import Path
from app.workers.priority import stand_back

stand_back()
group = Path("/proc/self/autogroup")
said = group.read_text().split() if group.exists() else []
print(os.nice(0), said[-1] if said else "none")
"""
ROOT = Path(__file__).resolve().parent.parent
GROUP = Path("/proc/self/autogroup")


def group_of_this_process() -> str:
    """The niceness of its session's group; "none" on a kernel without groups, or in none (it reads empty)."""
    said = GROUP.read_text().split() if GROUP.exists() else []
    return said[-1] if said else "none"


def seen(own_session: bool) -> list[str]:
    """The niceness of the process, and that of the session's group, after it stood back."""
    done = subprocess.run(
        [sys.executable, "-c", SEEN],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=own_session,
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize("own_session", [True, False])
def test_a_worker_is_nicer_than_who_started_it(own_session: bool) -> None:
    assert int(seen(own_session)[0]) == min(19, os.nice(0) + NICENESS)


def test_a_session_of_its_own_stands_back_and_one_it_shares_does_not() -> None:
    """Linux weighs sessions against each other, and niceness only within one."""
    assert seen(own_session=True)[1] == (str(NICENESS) if GROUP.exists() else "none")
    assert seen(own_session=False)[1] == group_of_this_process()
