"""Killed at 40 % and started again: rows that were paid for twice, lost, and stored twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.budget import OPENAI
from benchmarks.findings import Findings, Goal, Table, at_most, number
from benchmarks.peers.attempt import Way, follow
from benchmarks.peers.lineup import OURS, TITLES, lineup, unmeasured
from benchmarks.peers.scene import PINECONE, Scene, scene, table_of
from benchmarks.section import Section, Sizes

AT = 0.4
"""Of all rows, so many were paid for when it was killed."""

LEAST_PEER_ROWS = 4_000
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Killed:
    """One table, killed once. `in_flight` are rows of chunks that were claimed and not committed then, where
    an account of that is kept; `seconds` are those until the kill and those of the second start."""

    rows: int
    billed_before: int
    in_flight: int | None
    paid_twice: int
    lost: int
    doubled: int
    seconds: tuple[float, float]
    ending: str

    @property
    def twice_percent(self) -> float:
        return 100 * self.paid_twice / self.rows


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Killed]]:
    for entrant in lineup(sizes.ours, sizes.peers):
        rows = max(entrant.peer.rows, LEAST_PEER_ROWS) if entrant.peer else sizes.killed_rows
        rows = min(rows, sizes.killed_rows)
        with scene(folder / entrant.name, table_of(folder, rows), rows, OPENAI, PINECONE) as stage:
            yield entrant.name, killed_once(entrant.way, stage)


def killed_once(way: Way, stage: Scene) -> Killed:
    with way(stage) as start:
        with start() as attempt:
            before = follow(attempt, lambda _: stage.billed() >= AT * stage.rows)
            attempt.kill()
            billed, in_flight = stage.billed(), attempt.in_flight()
        with start() as attempt:
            after = follow(attempt, lambda seconds: seconds > PATIENCE_SECONDS)
            ending = attempt.ending() if attempt.over() else "still running"
    landed = stage.landed()
    return Killed(
        rows=stage.rows,
        billed_before=billed,
        in_flight=in_flight,
        paid_twice=stage.paid_twice(),
        lost=stage.rows - landed.rows,
        doubled=landed.doubled,
        seconds=(before.seconds, after.seconds),
        ending=ending,
    )


def _present(kills: Mapping[str, Killed]) -> Findings:
    return Findings([_table(kills)], list(_goals(kills)))


def _goals(kills: Mapping[str, Killed]) -> Iterator[Goal]:
    for name in OURS:
        kill, title = kills.get(name), f"{TITLES[name]}, killed at {AT:.0%}"
        yield at_most(
            f"{title}: rows paid twice to those in flight", 1, "times",
            lambda one: one.paid_twice / max(one.in_flight, 1), kill,
        )  # fmt: skip
        yield at_most(f"{title}: rows paid twice", 2, "%", lambda one: one.twice_percent, kill)
        yield at_most(f"{title}: lost or doubled", 0, "rows", lambda one: one.lost + one.doubled, kill)


def _table(kills: Mapping[str, Killed]) -> Table:
    columns = (
        *(
            "",
            "rows",
            "paid for at the kill",
            "in flight then",
            "paid twice",
            "of all rows",
            "lost",
            "doubled",
        ),
        *("seconds until the kill", "seconds from the second start", "ended"),
    )
    return Table(
        columns, [_row(name, kills) for name in TITLES],
        f"OpenAI at {1000 * OPENAI['latency']['mean']:.0f} ms and Pinecone at 50 ms, no limits at OpenAI. "
        f"SIGKILL to all processes of the caller when {AT:.0%} of the rows were paid for, and the same start "
        "again. Lost are rows without a vector at the end, doubled are vectors beyond one a row.",
    )  # fmt: skip


def _row(name: str, kills: Mapping[str, Killed]) -> list[str]:
    if name not in kills:
        return [TITLES[name], *["–"] * 9, unmeasured(name)]
    kill = kills[name]
    in_flight = "–" if kill.in_flight is None else f"{kill.in_flight:,}"
    return [
        *(TITLES[name], f"{kill.rows:,}", f"{kill.billed_before:,}", in_flight, f"{kill.paid_twice:,}"),
        *(f"{kill.twice_percent:.2f} %", f"{kill.lost:,}", f"{kill.doubled:,}"),
        *(number(kill.seconds[0]), number(kill.seconds[1]), kill.ending),
    ]


SECTION = Section("peers-killed", "Beside other ways: killed and started again", Killed, _measure, _present)
