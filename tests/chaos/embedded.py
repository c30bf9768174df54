"""The part that runs the service with its embedded worker, and kills all of it at aimed moments."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.chaos import report
from tests.chaos.check import most_again, problems
from tests.chaos.harness import Chaos, Run, Setup
from tests.chaos.report import Part
from tests.chaos.table import make_table

EMBEDDERS = ("local", "memory")


def embedded(folder: Path, rows: int, setup: Setup, seed: int, tell: Callable[[str], None]) -> Part:
    """Raises when the service dies by itself, or the time is over."""
    run = Chaos(folder, make_table(rows, seed), setup, random.Random(seed), tell).run()
    return Part(
        "embedded",
        runs=1,
        seeds=1,
        kills=len(run.kills),
        restarts=len(run.kills),
        faults=0,
        rows=rows,
        paid_twice=sum(life.again for life in run.lives),
        may=sum(life.in_flight for life in run.lives),
        problems=problems(run),
        seconds=run.seconds,
        details=_details(run),
    )


def _details(run: Run) -> str:
    rows = len(run.table.records)
    most = max([life.again for life in run.lives[: len(run.kills)]], default=0)
    cost = {
        "rows embedded": sum(life.embedded for life in run.lives),
        "  once": run.embedded_once,
        "  again, at the worst kill": most,
        "  allowed at one kill": most_again(run),
        "winners, again by settling": sum(life.settling for life in run.lives),
    }
    told = f"embedded: {rows:,} rows, {run.table.doubles:,} doubled, {len(run.table.bad)} bad; kills of all"
    return "\n".join([report.counts(told, dict(sorted(run.kills_by_phase.items()))),
                      report.counts("what they cost", cost)])  # fmt: skip
