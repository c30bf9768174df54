"""Without latency and without limits: what the machine allows, and what each way makes of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.findings import Findings, Goal, Table, at_least, at_most, number
from benchmarks.peers.attempt import follow
from benchmarks.peers.lineup import EMBEDDED, OURS, TITLES, Entrant, lineup, unmeasured
from benchmarks.peers.scene import Scene, scene, table_of
from benchmarks.process import Account
from benchmarks.section import Section, Sizes

OPENAI: dict[str, object] = {}
PINECONE: dict[str, object] = {"unlimited": True}


@dataclass(frozen=True, slots=True)
class Run:
    """One table once through. CPU seconds and `peak` (MB) are of all processes on the caller's side, API and
    workers together; `standin_cpu` are those of the busier stand-in. `others` is as in Load."""

    rows: int
    landed: int
    seconds: float
    cpu: float
    peak: float
    standin_cpu: float
    others: float
    ending: str

    @property
    def speed(self) -> float:
        """Rows a second that landed."""
        return self.landed / self.seconds

    @property
    def cpu_us_a_row(self) -> float:
        return 1e6 * self.cpu / self.rows


@dataclass(frozen=True, slots=True)
class Turns:
    """One run a round, and what ours, embedded, did in the same rounds."""

    runs: list[Run]
    ours: list[Run]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast ours was, round by round."""
        return [one.speed / other.speed for one, other in zip(self.ours, self.runs, strict=True)]


def _measure(folder: Path, sizes: Sizes) -> Iterator[tuple[str, Turns]]:
    """After each turn, all turns of its way until then. Celery has a process for each core, its default."""
    entrants = lineup(OURS, sizes.peers, os.cpu_count() or 1)
    runs: dict[str, list[Run]] = defaultdict(list)
    for turn in range(sizes.rounds):
        for entrant in entrants:
            rows = min(sizes.peer_rows, entrant.peer.rows) if entrant.peer else sizes.peer_rows
            place = folder / f"{entrant.name}-{turn}"
            with scene(place, table_of(folder, rows), rows, OPENAI, PINECONE) as stage:
                runs[entrant.name].append(_run(entrant, stage))
            yield entrant.name, Turns(runs[entrant.name], runs[EMBEDDED])


def _run(entrant: Entrant, stage: Scene) -> Run:
    with entrant.way(stage) as start, start() as attempt:
        clients = attempt.processes()
        account = Account(*clients, stage.openai.process.pid, stage.pinecone.process.pid)
        followed = follow(attempt)
        cpu, others = account.spent()
        ending = attempt.ending()
    return Run(
        rows=stage.rows,
        landed=stage.landed().rows,
        seconds=followed.seconds,
        cpu=round(sum(cpu[: len(clients)]), 2),
        peak=followed.peak,
        standin_cpu=max(cpu[len(clients) :]),
        others=others,
        ending=ending,
    )


def _present(turns: Mapping[str, Turns]) -> Findings:
    return Findings([_table(turns)], list(_goals(turns)))


def _goals(turns: Mapping[str, Turns]) -> Iterator[Goal]:
    for name in OURS:
        yield at_most(
            f"{TITLES[name]}, without latency: CPU of API and workers", 90, "µs a row",
            lambda one: median(run.cpu_us_a_row for run in one.runs), turns.get(name),
        )  # fmt: skip
    yield at_least(
        f"{TITLES[EMBEDDED]}, without latency: speed to the plain script’s", 6, "times",
        lambda one: median(one.ratios), turns.get("script"),
    )  # fmt: skip


def _table(turns: Mapping[str, Turns]) -> Table:
    columns = (
        *("", "runs", "rows", "landed", "rows/s", "CPU, µs a row", "peak, MB"),
        *("ours, embedded, is so many times as fast", "busier stand-in, of a core"),
        *("others’ share of the CPU", "ended"),
    )
    return Table(
        columns, [_row(name, turns) for name in TITLES],
        "No latency and no limits. Celery has a process for each core, its default. All took turns, one "
        "run of each in every round; a figure is the median, with the least and the most. A ratio is of one "
        "round: rows that landed a second, ours to theirs.",
    )  # fmt: skip


def _row(name: str, turns: Mapping[str, Turns]) -> list[str]:
    if name not in turns:
        return [TITLES[name], *["–"] * 9, unmeasured(name)]
    runs = turns[name].runs
    busy = [100 * run.standin_cpu / run.seconds for run in runs]
    return [
        *(TITLES[name], str(len(runs)), f"{runs[0].rows:,}", f"{min(run.landed for run in runs):,}"),
        spread([run.speed for run in runs]),
        spread([run.cpu_us_a_row for run in runs]),
        spread([run.peak for run in runs]),
        "1" if name == EMBEDDED else spread(turns[name].ratios),
        f"{number(max(busy))} %",
        f"{max(run.others for run in runs):.0%}",
        ", ".join(dict.fromkeys(run.ending for run in runs)),
    ]


def spread(values: Sequence[float]) -> str:
    """The median, and from the least to the most."""
    if len(values) == 1:
        return number(values[0])
    return f"{number(median(values))} ({number(min(values))}–{number(max(values))})"


SECTION = Section("peers", "Beside other ways: without latency", Turns, _measure, _present)
