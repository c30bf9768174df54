"""`python -m tests.simulation --seed N` prints what happens under a seed; `--seeds N` runs the first N."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.many import run_many
from tests.simulation.run import run


def main(arguments: list[str]) -> int:
    """0 when every promise was kept, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    wish = parser.add_mutually_exclusive_group(required=True)
    wish.add_argument("--seed", type=int, help="run this one and print its trace")
    wish.add_argument("--seeds", type=int, help="run so many and print their sums")
    parser.add_argument("--first", type=int, default=0, help="the first of many")
    asked = parser.parse_args(arguments)
    return one(asked.seed) if asked.seeds is None else many(asked.first, asked.seeds)


def one(seed: int) -> int:
    result = run(seed)
    for line in result.trace:
        say(line)
    say(f"trace {result.digest}")
    for problem in result.problems:
        say(f"BROKEN: {problem.words}")
    return 1 if result.problems else 0


def many(first: int, seeds: int) -> int:
    tally = run_many(range(first, first + seeds), say)
    say(tally.table())
    return 1 if tally.failing else 0


def say(text: str) -> None:
    """A line for whoever waits, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
