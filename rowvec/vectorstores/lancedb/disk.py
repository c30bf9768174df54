"""Whether what was written has reached the disk."""

from __future__ import annotations

import os
from pathlib import Path


class NewFiles:
    """Brings to the disk what came to be below a folder since it was last asked.

    For files that never change once they are there, written by others who leave them to the
    system's cache: a process may die then, but not the power.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: set[str] = set()

    def sync(self) -> None:
        """Blocks until all files below the folder, and their names, survive a power cut."""
        found = {
            os.path.join(parent, name)  # noqa: PTH118 (as strings: this runs for hundreds of files a second)
            for parent, _, names in os.walk(self._root)
            for name in names
        }
        new = found - self._known
        for path in sorted(new | {os.path.dirname(path) for path in new}):  # noqa: PTH120 (as above)
            _sync(path)
        self._known = found


def _sync(path: str) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # cleaned up meanwhile: nobody needs it any more
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
