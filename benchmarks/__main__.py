"""Measure the real service against its goals, and print what was found.

`make bench` measures everything and writes docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pace import pace
from benchmarks.peers import catalog
from benchmarks.readings import Readings
from benchmarks.report import told, write_report
from benchmarks.section import AnySection, Sizes
from benchmarks.sections import SECTIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, PICTURES = DOCS / "performance.md", DOCS / "performance"
RECORD = PICTURES / "readings.json"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    chosen = [section for section in SECTIONS if section.name in options.only]
    sizes = Sizes(
        options.rows, options.overhead_rows, options.gigabytes, options.tasks, options.listing_rows,
        options.processes, options.budget_rows, options.through_rows, options.waiting_rows,
        options.ours, options.peers, options.rounds, options.peer_rows, options.killed_rows,
        options.clients, options.client_seconds, options.client_forms,
    )  # fmt: skip
    readings = Readings.load(RECORD) if options.write else Readings.none()
    for section in chosen if not options.draw else ():
        readings = _measured(section, sizes, readings, options.write)
    print("\n".join(told(SECTIONS if options.write else chosen, readings)))
    if options.write:
        write_report(PAGE, PICTURES, SECTIONS, readings)


def _measured(section: AnySection, sizes: Sizes, readings: Readings, write: bool) -> Readings:
    """The readings with those of the section; each is on record as soon as it is taken."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for case, reading in section.measure(Path(folder), sizes):
            print(f"{section.name}: {case} measured", file=sys.stderr)
            readings = readings.with_reading(section.name, case, reading, pace())
            if write:
                readings.save(RECORD)
    return readings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [section.name for section in SECTIONS]
    default = Sizes()
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these sections")
    parser.add_argument("--rows", nargs="+", type=int, default=default.rows, help="rows of the tasks")
    parser.add_argument(
        "--overhead-rows", nargs="+", type=int, default=default.overhead_rows, help="the same, of overhead"
    )
    parser.add_argument(
        "--gigabytes", nargs="+", type=float, default=default.gigabytes, help="of large files"
    )
    parser.add_argument("--tasks", type=int, default=default.tasks, help="ended tasks in the ledger")
    parser.add_argument(
        "--listing-rows", type=int, default=default.listing_rows, help="of the task beside them"
    )
    parser.add_argument(
        "--processes", nargs="+", type=int, default=default.processes, help="that share a budget"
    )
    parser.add_argument("--budget-rows", type=int, default=default.budget_rows, help="of the task they do")
    parser.add_argument(
        "--through-rows", type=int, default=default.through_rows, help="of the task that nothing holds back"
    )
    parser.add_argument("--clients", type=int, default=default.clients, help="at once")
    parser.add_argument(
        "--client-seconds", type=float, default=default.client_seconds, help="for which they ask"
    )
    parser.add_argument(
        "--client-forms", nargs="+", choices=default.client_forms, default=default.client_forms,
        help="of the service that they ask",
    )  # fmt: skip
    parser.add_argument(
        "--waiting-rows", type=int, default=default.waiting_rows, help="of the task that waits for latency"
    )
    _add_peers(parser, default)
    parser.add_argument("--write", action="store_true", help=f"put it on record and into docs/{PAGE.name}")
    parser.add_argument("--draw", action="store_true", help="measure nothing; with --write, write it again")
    return parser


def _add_peers(parser: argparse.ArgumentParser, default: Sizes) -> None:
    parser.add_argument(
        "--ours", nargs="*", choices=default.ours, default=default.ours,
        help="forms of ours beside peers; without latency always both",
    )  # fmt: skip
    parser.add_argument(
        "--peers", nargs="*", choices=list(catalog.PEERS), default=catalog.wanted(),
        help="to be measured beside ours, and installed if they are not",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=default.rounds, help="in which all take turns")
    parser.add_argument("--peer-rows", type=int, default=default.peer_rows, help="of ours without latency")
    parser.add_argument("--killed-rows", type=int, default=default.killed_rows, help="of what is killed")


if __name__ == "__main__":
    main()
