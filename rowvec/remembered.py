"""What a process need not look at again."""

from __future__ import annotations


class Remembered:
    """A set of names that never grows beyond `most`: the oldest is forgotten, and looked at once more."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._names: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def add(self, name: str) -> None:
        self._names[name] = None
        if len(self._names) > self._most:
            del self._names[next(iter(self._names))]
