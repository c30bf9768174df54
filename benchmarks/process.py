"""What the operating system says of processes: the CPU they have used, and their memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and of the children it has waited for, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_A_SECOND


def busy_seconds() -> float:
    """CPU seconds used by everybody on all cores since the machine started, and taken by its host."""
    user, nice, system, _idle, _wait, *interrupts_and_stolen = map(
        int, Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    )
    return (user + nice + system + sum(interrupts_and_stolen)) / _TICKS_A_SECOND


class Account:
    """CPU seconds from now on: of some processes, and of all others on the machine."""

    def __init__(self, *processes: int) -> None:
        self._processes = processes
        self._before = self._now()

    def spent(self) -> tuple[list[float], float]:
        """What each of the processes has used, in order, and the share (0 to 1) of the machine's cores
        that was used by others. This process is not among the others."""
        own, mine, busy, at = self._now()
        own_before, mine_before, busy_before, at_before = self._before
        each = [round(now - before, 2) for now, before in zip(own, own_before, strict=True)]
        others = busy - busy_before - sum(each) - (mine - mine_before)
        share = others / (os.cpu_count() or 1) / (at - at_before)
        return each, round(min(1.0, max(0.0, share)), 3)  # ticks are coarse: a moment may count as more

    def _now(self) -> tuple[list[float], float, float, float]:
        own = [cpu_seconds(process) for process in self._processes]
        return own, cpu_seconds(os.getpid()), busy_seconds(), time.perf_counter()


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
