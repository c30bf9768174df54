"""What a worker's process has built to work with, as against what comes and goes with the rows."""

from __future__ import annotations

import gc

YOUNG = 50_000
"""Objects that come before the collector looks at them. A row's are in no cycle and go by themselves; at
Python's own 700 it looks at every row of a chunk several times."""


def keep_for_good() -> None:
    """Spare the collector all that is there by now: modules and parts stay until the process ends.

    Each of its full rounds goes through a hundred thousand such objects, and rows bring one about every few
    chunks. What comes after is left alone until there is more of it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
