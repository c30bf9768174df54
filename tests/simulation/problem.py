"""A promise that was not kept."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    LOST = "lost"
    DOUBLED = "doubled"
    WRONG = "wrong"
    PAID = "paid beyond the bound"
    OTHER = "otherwise broken"


@dataclass(frozen=True, slots=True)
class Problem:
    """`count` of rows, vectors or texts."""

    kind: Kind
    words: str
    count: int = 1


def some(kind: Kind, what: str, which: Collection[object]) -> list[Problem]:
    """One problem for them all; none for none."""
    if not which:
        return []
    return [Problem(kind, f"{len(which)} {what}, among them {sorted(which, key=str)[:5]}", len(which))]


def told(error: BaseException) -> str:
    """An error and where it came from, in one line."""
    where = traceback.extract_tb(error.__traceback__)[-1:]
    return f"{error!r}" + "".join(f" at {frame.filename}:{frame.lineno}" for frame in where)
