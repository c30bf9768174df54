"""Where records are written, whole lines only, for the CloudWatch agent or the log driver of a container."""

from __future__ import annotations

import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from app.config import STDOUT

STDOUT_DESCRIPTOR = 1
"""Not `sys.stdout`, which Celery may put something else in place of."""


class Place(ABC):
    @abstractmethod
    def write(self, lines: Sequence[str]) -> None:
        """Raises OSError."""


class Log(Place):
    """A file that all processes of a host append to: all lines, or none. It is opened anew each time, so that
    it may be moved away at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, lines: Sequence[str]) -> None:
        with self._path.open("ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            before = file.seek(0, os.SEEK_END)
            left = memoryview("".join(f"{line}\n" for line in lines).encode())
            try:
                while left:
                    left = left[file.write(left) :]
            except OSError:
                file.truncate(before)
                raise


class Output(Place):
    """The standard output. A pipe takes a short line in one, whoever else writes to it."""

    def write(self, lines: Sequence[str]) -> None:
        for line in lines:
            left = memoryview(f"{line}\n".encode())
            while left:
                left = left[os.write(STDOUT_DESCRIPTOR, left) :]


def place_of(setting: str) -> Place:
    return Output() if setting == STDOUT else Log(Path(setting))
