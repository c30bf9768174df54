"""One table over all parts of the proof, for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.production.takeover import Times
from tests.simulation.problem import Kind, Problem

TOGETHER = "together"
SHARES = {"p50": 0.5, "p99": 0.99, "worst": 1.0}


@dataclass(frozen=True)
class Part:
    """A part of the proof and what it came to. `may`: how often rows may have been paid twice."""

    name: str
    runs: int
    seeds: int
    kills: int
    restarts: int
    faults: int
    rows: int
    paid_twice: int
    may: int
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0
    details: str = ""

    def broken(self, kind: Kind) -> int:
        return sum(problem.count for problem in self.problems if problem.kind is kind)

    def column(self) -> list[int]:
        return [
            *(self.runs, self.seeds, self.kills, self.restarts, self.faults, self.rows),
            *(self.broken(kind) for kind in (Kind.LOST, Kind.DOUBLED, Kind.WRONG)),
            *(self.paid_twice, self.may, self.broken(Kind.PAID), self.broken(Kind.OTHER)),
            round(self.seconds),
        ]


ROWS = (
    *("runs", "seeds", "kills", "restarts", "faults", "rows", "lost", "doubled", "wrong vector or count"),
    *("paid twice", "  may have been", "  beyond their bound", "otherwise broken", "seconds"),
)


def table(parts: Sequence[Part]) -> str:
    """A column for each part, and their sums."""
    columns = [part.column() for part in parts]
    columns.append([sum(row) for row in zip(*columns, strict=True)])
    lines = ["".join([" " * 26, *(f"{name:>13}" for name in (*(part.name for part in parts), TOGETHER))])]
    for name, numbers in zip(ROWS, zip(*columns, strict=True), strict=True):
        lines.append(f"  {name:<24}" + "".join(f"{number:>13,}" for number in numbers))
    return "\n".join(lines)


def takeovers(head: str, times: Mapping[str, Times]) -> str:
    """Seconds that work lay after each kind of blow."""
    lines = [f"  {head:<36}{'chunks':>8}" + "".join(f"{name:>8}" for name in SHARES)]
    for kind, each in times.items():
        ranks = "".join(f"{each.at(share):>8.2f}" for share in SHARES.values())
        lines.append(f"    {kind:<34}{len(each.seconds):>8,}{ranks}")
    return "\n".join(lines)


def counts(head: str, numbers: Mapping[str, int] | Counter[str]) -> str:
    return "\n".join([f"  {head}", *(f"    {name:<34}{number:>8,}" for name, number in numbers.items())])


def words(parts: Iterable[Part]) -> Iterator[str]:
    """Every promise that was broken."""
    for part in parts:
        for problem in part.problems:
            yield f"BROKEN ({part.name}): {problem.words}"
