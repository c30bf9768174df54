"""Time, chance and the processes of a host, as a seed makes them: nothing of the real ones gets in."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from structlog.testing import capture_logs

from rowvec import planning, sweeper, worker
from tests.simulation.process import ProcessTable, current

APPEND = 3
"""Chunks that a plan appends at a time: a table of some dozens has several appends."""


@contextmanager
def simulated(
    seed: int, processes: ProcessTable, wall: Callable[[], float], monotonic: Callable[[], float]
) -> Iterator[None]:
    """As long as this lasts. Rubbish is not collected meanwhile: when it is depends on what was before."""
    chance = random.Random(f"{seed} urandom")
    state = random.getstate()
    here = SimpleNamespace(getpid=lambda: current().pid)
    patches: list[AbstractContextManager[object]] = [
        patch("time.time", wall),
        patch("time.monotonic", monotonic),
        patch("os.urandom", chance.randbytes),
        patch("psutil.Process", processes.find),
        patch.object(worker, "os", here),
        *(patch.object(room, "this_host", lambda: current().host) for room in (worker, sweeper)),
        patch.object(planning, "APPEND", APPEND),
    ]
    with ExitStack() as stack:
        stack.enter_context(capture_logs())
        for each in patches:
            stack.enter_context(each)
        gc.disable()
        random.seed(f"{seed} jitter")
        try:
            yield
        finally:
            random.setstate(state)
            gc.enable()
