"""What a worker's process has built to work with, as against what comes and goes with the rows."""

from __future__ import annotations

import gc


def keep_for_good() -> None:
    """Spare the collector all that is there by now: modules and parts stay until the process ends.

    Each of its full rounds goes through a hundred thousand such objects, and rows bring one about every few
    chunks.
    """
    gc.collect()
    gc.freeze()
