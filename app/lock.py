"""A lock of a data folder: of all processes that share the folder one holds it, as long as it lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take_lock(data: Path, name: str) -> int | None:
    """A file descriptor that holds the lock of this name, None if another process holds it.

    The lock lives as long as any process keeps the descriptor open. Raises OSError where the folder cannot be
    written to.
    """
    data.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
