"""Blocks of docs/operations.md, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.http_service import ROOT
from tests.servers import postgres

PAGE = (ROOT / "docs/operations.md").read_text()


def documented(mark: str, folder: Path, **values: str) -> str:
    """What the block below `<!-- mark -->` prints, run where the service is."""
    (block,) = re.findall(rf"<!-- {mark} -->\n```\n(.*?)```", PAGE, re.S)
    path = f"{postgres.programs()}:{os.environ['PATH']}"
    for name in (".venv", "vectordb"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    environment = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=environment | values,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
