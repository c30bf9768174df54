"""The sample: Python's own documentation as a table, and how it is indexed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.demo.service import ROOT, DemoFailed

NAMESPACE = "python-stdlib"
OPTIONS = {
    "namespace": NAMESPACE,
    "id_column": "name",
    "text_template": "{summary} ({module})",
    "metadata_columns": ["module", "kind", "signature", "docstring"],
}
BUILD_WITHIN = 120.0


def build(table: Path) -> int:
    """Write the table in a process of its own, which knows no settings; returns how many rows it has."""
    command = [sys.executable, "-W", "ignore", "-m", "app.demo.stdlib_table", str(table)]
    built = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ.get("PATH", "")}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=BUILD_WITHIN, check=False,
    )  # fmt: skip
    if built.returncode:
        raise DemoFailed(f"The documentation could not be read: {built.stderr.strip()[-400:]}")
    return int(built.stdout)
