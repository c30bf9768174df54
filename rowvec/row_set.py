"""A set of row numbers, however many: a bit a row, in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray


class RowSet:
    """Numbers from 0 to `most`. What is asked for beyond them is not in it."""

    def __init__(self, file: Path, most: int) -> None:
        self._most = most
        self._bits = np.memmap(file, np.uint8, "w+", shape=(most // 8 + 1,))

    def add(self, numbers: Sequence[int]) -> None:
        """Raises IndexError beyond `most`."""
        at = np.asarray(numbers, np.int64)
        np.bitwise_or.at(self._bits, at >> 3, _bit(at))

    def has(self, numbers: Sequence[int]) -> NDArray[np.bool_]:
        """For each of these whether it is in the set."""
        at = np.asarray(numbers, np.int64)
        known = (at >= 0) & (at <= self._most)
        within = np.where(known, at, 0)
        found: NDArray[np.bool_] = known & ((self._bits[within >> 3] & _bit(within)) != 0)
        return found


def _bit(at: NDArray[np.int64]) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = np.left_shift(1, at & 7).astype(np.uint8)
    return bits


@contextmanager
def row_sets(most: int) -> Iterator[tuple[RowSet, RowSet]]:
    """Two empty sets, until the end of the block."""
    with TemporaryDirectory(prefix="rows-") as folder:
        yield RowSet(Path(folder, "0"), most), RowSet(Path(folder, "1"), most)
