"""`python -m tests.chaos`: every part of the proof, and one table over them.

The machine is simulated under many seeds; the service with its embedded worker is killed at aimed moments;
the whole production stack works under kills, losses, stops, storms and faults of its providers.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.chaos import harness, report
from tests.chaos.embedded import EMBEDDERS, embedded
from tests.chaos.production import run as production
from tests.chaos.production.part import whole
from tests.chaos.report import Part
from tests.simulation.many import CRASHES, run_many
from tests.simulation.problem import Kind, Problem

PARTS = ("simulated", "embedded", "production")


def main(arguments: list[str]) -> int:
    """0 when every promise was kept, else 1; then the folder or the seed is named."""
    wish = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through every finally: nothing is left running
    say(f"seed {wish.seed}")
    doing: dict[str, Callable[[], Part]] = {
        "simulated": lambda: _simulated(wish),
        "embedded": lambda: _in_a_folder("embedded", lambda folder: _embedded(wish, folder)),
        "production": lambda: _in_a_folder("production", lambda folder: _production(wish, folder)),
    }
    parts = [do() for name, do in doing.items() if name in wish.only]
    for part in parts:
        say(part.details)
    say(report.table(parts))
    broken = list(report.words(parts))
    for line in broken:
        say(line)
    if not broken:
        say("Every promise was kept.")
    return 1 if broken else 0


def _simulated(wish: argparse.Namespace) -> Part:
    tally = run_many(range(wish.seeds), say)
    crashes, stops = (tally.faults[name] for name in CRASHES)
    told = [
        Problem(Kind.OTHER, f"{words} Replay it: python -m tests.simulation --seed {seed}", 0)
        for seed, each in tally.failing.items()
        for words in each
    ]
    return Part(
        "simulated",
        runs=tally.seeds,
        seeds=tally.seeds,
        kills=crashes,
        restarts=crashes,
        faults=tally.faults.total() - crashes,
        rows=tally.rows,
        paid_twice=tally.again,
        may=tally.may,
        problems=told + [Problem(kind, f"{number} {kind}", number) for kind, number in tally.broken.items()],
        seconds=tally.seconds,
        details=report.counts("simulated", {"processes stopped for a while": stops}),
    )


def _embedded(wish: argparse.Namespace, folder: Path) -> Part:
    setup = harness.Setup(wish.embedded_kills, 1_000, wish.embedder, wish.pace, wish.minutes * 60)
    return embedded(folder, wish.embedded_rows, setup, wish.seed, say)


def _production(wish: argparse.Namespace, folder: Path) -> Part:
    setup = production.Setup(wish.rows, wish.kills, wish.chunk, wish.lease, wish.minutes * 60, wish.seed)
    return whole(folder, setup, say)


def _in_a_folder(name: str, do: Callable[[Path], Part]) -> Part:
    """Which is kept for a look when a promise was broken, or the part itself breaks."""
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
    say(f"{name}: in {folder}")
    part = do(folder)
    if not part.problems:
        shutil.rmtree(folder)
    return part


def say(text: str) -> None:
    """A line for whoever waits, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of tables and moments")
    parser.add_argument("--minutes", type=float, default=60, help="after which a part is given up")
    parser.add_argument("--seeds", type=int, default=1_000, help="simulated")
    parser.add_argument("--rows", type=int, default=200_000, help="of production")
    parser.add_argument("--kills", type=int, default=160, help="of production")
    parser.add_argument("--chunk", type=int, default=200, help="rows a chunk of production")
    parser.add_argument("--lease", type=float, default=5.0, help="LEASE_SECONDS of production")
    parser.add_argument("--embedded-rows", type=int, default=100_000)
    parser.add_argument("--embedded-kills", type=int, default=50)
    parser.add_argument("--embedder", choices=EMBEDDERS, default="local", help="of the embedded part")
    parser.add_argument("--pace", type=float, default=0.3, help="seconds each request to it lasts longer")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
