"""The embedded worker, in a process that the system says is large: it maps one small piece many times over,
which takes no more of the machine's memory than that piece."""

from __future__ import annotations

import mmap
import os
import sys

from app.workers import embedded

PIECE, TIMES = 16 << 20, 100


def heavy() -> list[mmap.mmap]:
    """Maps that count as PIECE times TIMES bytes of resident memory, as long as they are kept."""
    piece = os.memfd_create("piece")
    os.write(piece, b"\1" * PIECE)
    return [mmap.mmap(piece, PIECE, mmap.MAP_SHARED | mmap.MAP_POPULATE) for _ in range(TIMES)]


if __name__ == "__main__":
    kept = heavy()
    sys.exit(embedded.main([]))
