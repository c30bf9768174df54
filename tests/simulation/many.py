"""Many seeds, on all cores, and what they came to together."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.problem import Kind
from tests.simulation.run import Result, run

CRASHES = ("crash", "stop")
AT_A_TIME = 10
"""Seeds that a process is given at once."""


@dataclass(slots=True)
class Tally:
    """Sums over seeds. `failing` has what was broken, by seed."""

    seeds: int = 0
    rows: int = 0
    again: int = 0
    may: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    broken: Counter[Kind] = field(default_factory=Counter)
    failing: dict[int, list[str]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.rows += result.rows
        self.again += result.again
        self.may += result.may
        self.faults += result.faults
        for problem in result.problems:
            self.broken[problem.kind] += problem.count
            self.failing.setdefault(result.seed, []).append(problem.words)

    def table(self) -> str:
        """For a person."""
        crashes, stops = (self.faults[name] for name in CRASHES)
        others = self.faults.total() - crashes - stops
        lines = {
            "simulated seeds": self.seeds,
            "  crashes of a process": crashes,
            "  processes stopped for a while": stops,
            "  other faults": others,
            "  rows": self.rows,
            "  lost": self.broken[Kind.LOST],
            "  doubled": self.broken[Kind.DOUBLED],
            "  wrong": self.broken[Kind.WRONG],
            "  otherwise broken": self.broken[Kind.OTHER],
            "  texts paid twice": self.again,
            "    allowed": self.may,
            "    beyond their bound": self.broken[Kind.PAID],
            "  seconds": round(self.seconds),
        }
        return "\n".join(f"  {name:<32}{number:>9,}" for name, number in lines.items())


def run_many(seeds: Iterable[int], tell: Callable[[str], None]) -> Tally:
    """Each seed in one of as many processes as there are cores; a failing one is told at once."""
    tally, began = Tally(), time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for result in pool.map(_short, seeds, chunksize=AT_A_TIME):
            tally.add(result)
            for words in tally.failing.get(result.seed, ()):
                tell(f"BROKEN by seed {result.seed}: {words}")
    tally.seconds = time.monotonic() - began
    return tally


def _short(seed: int) -> Result:
    """Without the trace: the seed gives it again."""
    result = run(seed)
    result.trace.clear()
    return result
