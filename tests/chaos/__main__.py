"""`python -m tests.chaos`: kill the service over and over while it indexes a large table, then count.

Before that, the machine is simulated under many seeds (`--seeds`, 0 for none).
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.check import most_again, problems
from tests.chaos.harness import Chaos, Run, Setup
from tests.chaos.table import make_table
from tests.simulation.many import run_many

EMBEDDERS = ("local", "memory")


def main(arguments: list[str]) -> int:
    """0 when every promise was kept, else 1; then the folder or the seed is named."""
    wish = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every finally: nothing is left running
    sound = _simulate(wish.seeds)
    return 0 if _kill(wish) and sound else 1


def _simulate(seeds: int) -> bool:
    """Was every promise kept under so many seeds?"""
    if not seeds:
        return True
    tally = run_many(range(seeds), say)
    say(tally.table())
    for seed in tally.failing:
        say(f"Replay it: python -m tests.simulation --seed {seed}")
    return not tally.failing


def _kill(wish: argparse.Namespace) -> bool:
    """Was every promise kept by real processes that are killed?"""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    say(f"{wish.rows:,} rows, {wish.kills} kills, seed {wish.seed}, in {folder}")
    chance = random.Random(wish.seed)
    table = make_table(wish.rows, wish.seed)
    setup = Setup(wish.kills, wish.chunk, wish.embedder, wish.pace, wish.minutes * 60)
    run = Chaos(folder, table, setup, chance, say).run()
    found = problems(run)
    say(report(run))
    for problem in found:
        say(f"BROKEN: {problem}")
    if found:
        say(f"Kept for a look: {folder}")
        return False
    shutil.rmtree(folder)
    say("Every promise was kept.")
    return True


def say(text: str) -> None:
    """A line for whoever waits, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def report(run: Run) -> str:
    """What was done and what it cost, for a person."""
    rows = len(run.table.records)
    again = [life.again for life in run.lives[: len(run.kills)]]
    most = max(again, default=0)
    kills = "".join(f"\n    {phase:<14}{number:>4}" for phase, number in sorted(run.kills_by_phase.items()))
    return f"""\
  rows                            {rows:>9,}  ({run.table.doubles:,} doubled, {len(run.table.bad)} bad)
  kills, each of the whole group  {len(run.kills):>9,}{kills}
  starts again                    {len(run.kills):>9,}
  rows embedded                   {sum(life.embedded for life in run.lives):>9,}
    once                          {run.embedded_once:>9,}
    again, at all kills           {sum(again):>9,}
    again, at the worst kill      {most:>9,}  = {most / rows:.2%} of the task (allowed: {most_again(run):,})
    winners, again by settling    {sum(life.settling for life in run.lives):>9,}
  seconds                         {run.seconds:>9.0f}"""


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="simulated, before anything is killed")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--chunk", type=int, default=1_000, help="rows a chunk")
    parser.add_argument("--embedder", choices=EMBEDDERS, default="local")
    parser.add_argument("--pace", type=float, default=0.3, help="seconds each request to it lasts longer")
    parser.add_argument("--minutes", type=float, default=20, help="after which it is given up")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
