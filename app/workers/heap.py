"""How a worker's process gets its memory: from one heap, which is not given back to be asked for again."""

from __future__ import annotations

import ctypes

ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}
"""For the environment of a worker that is started: what is imported begins threads before
`one_heap` can be called, and they would have a heap of their own."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""As glibc's malloc.h names them."""

_KEPT_BYTES = 64 << 20
_LARGE_BYTES = 32 << 20


def one_heap() -> None:
    """Where the C library is glibc; before any thread begins, for those that have begun keep their own heap.

    An answer of 8 MB and what is made of it come and go with every chunk. Given back each time, they cost the
    system two thousand pages to find and to empty.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
