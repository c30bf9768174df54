"""How a worker stands back on a host that it shares: answers of the API, above all, go first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NICENESS = 5
"""A third of the weight that others have. Where nobody else wants a processor it changes nothing."""

_AUTOGROUP = Path("/proc/self/autogroup")
"""Linux weighs whole sessions against each other (sched(7)), and niceness only within one."""


def stand_back() -> None:
    """Before other processes are started, which inherit it."""
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        # Kernels without such groups, and control groups of their own (systemd, Docker), have it otherwise.
        with contextlib.suppress(OSError):
            _AUTOGROUP.write_text(str(NICENESS))
