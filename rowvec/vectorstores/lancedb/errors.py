"""The one place where LanceDB's errors become the machine's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rowvec.errors import CredentialsRefused, DiskLow, RetryLater, RowvecError, StoreMismatch, Unavailable

T = TypeVar("T")

# LanceDB has no exceptions of its own: these builtins with a text are all it raises.
RAISED = (OSError, RuntimeError, ValueError)
_ATTEMPTS = 8
_FIRST_WAIT = 0.05  # seconds
_CONFLICTS = ("commit conflict", "concurrent", "preempted")


def is_missing(error: Exception) -> bool:
    """The table is not there (yet)."""
    return isinstance(error, ValueError) and "was not found" in str(error)


@contextmanager
def translated(namespace: str) -> Iterator[None]:
    """What LanceDB raises inside comes out as RetryLater, PauseNeeded or StoreMismatch."""
    try:
        yield
    except RAISED as error:
        raise _meaning(namespace, error) from error


async def committed(namespace: str, write: Callable[[], Awaitable[T]]) -> T:
    """The result of `write`, done again when another process committed first.

    Raises RetryLater when others keep coming first, else as `translated` does.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return await write()
        except RAISED as error:
            if not _is_conflict(error):
                raise _meaning(namespace, error) from error
        await asyncio.sleep(random.uniform(0.0, _FIRST_WAIT * 2**attempt))  # noqa: S311 (spreads, hides nothing)
    raise RetryLater(f"Other writers of the namespace '{namespace}' came first {_ATTEMPTS} times.", 1.0)


def _is_conflict(error: Exception) -> bool:
    text = str(error).lower()
    return any(word in text for word in _CONFLICTS)


def _meaning(namespace: str, error: Exception) -> RowvecError:
    text = str(error)
    where = f"the vectors of the namespace '{namespace}'"
    if "No space left" in text or "Disk quota exceeded" in text:
        return DiskLow(f"The disk is too full for {where}: make room, then resume. ({text})")
    if "ermission denied" in text or "Read-only file system" in text:
        return CredentialsRefused(f"There is no permission to use {where}: give it, then resume. ({text})")
    if _is_conflict(error):
        return RetryLater(f"Another writer changed {where} at the same moment. ({text})", 1.0)
    if isinstance(error, ValueError):
        return StoreMismatch(f"LanceDB refuses what it was asked of {where}: {text}")
    return Unavailable(f"LanceDB cannot reach {where}: {text}")
