"""The memory of a worker's process: what its C library is told, seen from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from app.workers.heap import ONE_ARENA

ROOT = Path(__file__).parent.parent

WORK = """
import ctypes, json, resource, sys, threading
if "imported" in sys.argv:
    import app.workers.embedded
from app.workers.heap import one_heap

if "told" in sys.argv:
    one_heap()

def chunk():
    parts = [bytes(1 << 18) for _ in range(32)]
    return len(b"".join(parts))

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

held = threading.Barrier(4)
def thread():
    kept = [bytes(1000) for _ in range(1000)]
    held.wait()

threads = [threading.Thread(target=thread) for _ in range(4)]
[one.start() for one in threads], [one.join() for one in threads]
chunk()
before = faults()
for _ in range(10):
    chunk()
print(json.dumps({"faults": faults() - before}))
sys.stdout.flush()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def seen(*arguments: str, environment: Mapping[str, str] = {}) -> tuple[int, int]:
    """Heaps of a process with four threads, and pages that the system had to give it again for ten chunks."""
    command = [sys.executable, "-c", WORK, *arguments]
    whole = os.environ | environment
    told = subprocess.run(command, cwd=ROOT, env=whole, capture_output=True, text=True, check=True).stdout
    first, _, rest = told.partition("\n")
    return rest.count("<heap nr="), json.loads(first)["faults"]


def test_memory_comes_from_one_heap_and_is_not_asked_for_again() -> None:
    """Told so, threads share the heap, and what an answer takes is found there again."""
    heaps, faults = seen("told")
    more_heaps, more_faults = seen()
    assert (heaps, more_heaps > 1) == (1, True)
    assert 10 * faults < more_faults


def test_threads_that_begin_with_the_imports_share_the_heap_of_a_worker_that_is_started() -> None:
    """By its environment: told later, they keep heaps of their own."""
    heaps, _ = seen("imported", "told", environment=ONE_ARENA)
    more_heaps, _ = seen("imported", "told")
    assert (heaps, more_heaps > 1) == (1, True)
