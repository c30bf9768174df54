"""`python -m tests.fuzz`: ask the running service what nobody thought of, at length, as in production and
without; 0 when everything it answered was as its description says."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import fuzz

ENVIRONMENTS = ("production", "")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="of each route and chain of routes")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="to do the same again")
    wish = parser.parse_args(arguments)
    clean = [_is_clean(name, wish.examples, wish.seed) for name in ENVIRONMENTS]
    return 0 if all(clean) else 1


def _is_clean(environment: str, examples: int, seed: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        report = fuzz(Path(folder), environment, examples, seed)
    verdict = "clean" if report.clean else "FINDINGS"
    print(f"{report.said}\nENVIRONMENT={environment or '(none)'}, seed {seed}: {verdict}", flush=True)  # noqa: T201
    return report.clean


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
