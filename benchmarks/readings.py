"""Readings on record: one JSON file, so that a part can be measured anew and all be told together."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psutil

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Taken:
    """One reading: when it was taken, in UTC, its figures, and the machine's pace, 0 if not asked."""

    at: str
    figures: Any
    pace: float = 0.0


@dataclass(frozen=True, slots=True)
class Readings:
    """All readings of one machine, by section and case. Those of two machines never stand together."""

    machine: str
    sections: Mapping[str, Mapping[str, Taken]] = field(default_factory=dict)

    @staticmethod
    def none() -> Readings:
        return Readings(this_machine())

    @staticmethod
    def load(path: Path) -> Readings:
        """What is on record of this machine; empty where there is nothing, or that of another one."""
        fresh = Readings.none()
        if not path.exists():
            return fresh
        known = msgspec.json.decode(path.read_bytes(), type=Readings)
        return known if known.machine == fresh.machine else fresh

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")

    def with_reading(self, section: str, case: str, reading: object, pace: float = 0.0) -> Readings:
        """These and one more, which takes the place of an earlier one of its case."""
        at = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        taken = Taken(at, msgspec.to_builtins(reading), pace)
        cases = {**self.sections.get(section, {}), case: taken}
        return replace(self, sections={**self.sections, section: cases})

    def of(self, section: str, kind: type[R]) -> dict[str, R]:
        """The readings of a section by case, smallest number first."""
        cases = self.sections.get(section, {})
        ordered = sorted(cases, key=lambda case: float(case) if case[:1].isdigit() else 0.0)
        return {case: msgspec.convert(cases[case].figures, kind) for case in ordered}

    def when(self, section: str) -> str:
        """From the first to the last reading of a section; empty where there are none."""
        moments = sorted(taken.at for taken in self.sections.get(section, {}).values())
        return " to ".join(dict.fromkeys((moments[0], moments[-1]))) if moments else ""

    def paces(self, section: str) -> list[float]:
        """The least and the most of the machine in a section's readings; empty where they do not tell."""
        known = [taken.pace for taken in self.sections.get(section, {}).values() if taken.pace]
        return [min(known), max(known)] if known else []


def this_machine() -> str:
    """Processor, cores, memory, system and Python, in one line."""
    memory = psutil.virtual_memory().total / 1e9
    return (
        f"{_processor()}, {psutil.cpu_count()} cores, {memory:.0f} GB of memory, "
        f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
