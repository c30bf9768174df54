"""What the operating system says of a process: the CPU it has used, and its memory."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and of the children it has waited for, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_A_SECOND


def memory_mb(pid: int) -> float:
    """Resident memory now, in MB of 1,000,000 bytes."""
    return _memory(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """The most that was ever resident, in MB of 1,000,000 bytes."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"process {pid} has ended: the system tells no {name} of it")
