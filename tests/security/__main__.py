"""`python -m tests.security`: takes each control of the threat model out, and sees its tests fail.

Works on a copy of the tree in a temporary folder, with the same Python. Each test is run as it is (green) and
without its control (red); 0 when all are so, else 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.security.controls import ROOT, Control, controls

PASSED, FAILED = 0, 1
"""As pytest tells it. All else says that the test did not run."""
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", ".*_cache", ".venv", ".git", ".hypothesis", "data")
LONGEST_SECONDS = 300.0


class Copy:
    """The tree in another place, as a repository of its own, for tests that ask what is tracked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(ROOT, root, ignore=LEFT_BEHIND, dirs_exist_ok=True)
        (root / ".venv").symlink_to(ROOT / ".venv")
        for command in (["init", "-q"], ["add", "-A", "."]):
            subprocess.run(["git", *command], cwd=root, check=True)
        self.green = cache(self._run)

    @contextmanager
    def without(self, control: Control) -> Iterator[None]:
        for edit in control.out:
            edit.make(self.root)
        try:
            yield
        finally:
            for edit in control.out:
                edit.undo(self.root)

    def red(self, control: Control, test: str) -> int:
        """What the test ends with where the control is taken out."""
        with self.without(control):
            return self._run(test, control.narrow)

    def _run(self, test: str, narrow: str) -> int:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("PYTHONPATH", None)
        try:
            return subprocess.run(
                [*command, *(["-k", narrow] if narrow else [])],
                cwd=self.root, env=environment, capture_output=True, timeout=LONGEST_SECONDS,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            return -1


def _word(code: int, wanted: int) -> str:
    return "yes" if code == wanted else "NO" if code in (PASSED, FAILED) else f"DID NOT RUN ({code})"


def main(arguments: Sequence[str]) -> int:
    """The table, a line for each control and test, and the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.security", description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="begin with this control, counted from 1")
    parser.add_argument("--last", type=int, help="and end with this one")
    parser.add_argument("--red-only", action="store_true", help="leave out the runs with the control")
    given = parser.parse_args(arguments)
    well = True
    with tempfile.TemporaryDirectory(prefix="controls-") as folder:
        copy = Copy(Path(folder))
        sys.stdout.write(
            "| # | threat | control | test | red without it | green with it |\n|---|---|---|---|---|---|\n"
        )
        for number, control in list(enumerate(controls(), 1))[given.first - 1 : given.last]:
            for test in control.tests:
                red = copy.red(control, test)
                green = PASSED if given.red_only else copy.green(test, control.narrow)
                well = well and (red, green) == (FAILED, PASSED)
                words = [_word(red, FAILED), "-" if given.red_only else _word(green, PASSED)]
                cells = [str(number), control.threat, control.control, test, *words]
                sys.stdout.write(f"| {' | '.join(cells)} |\n")
                sys.stdout.flush()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
