"""The import rules of pyproject.toml: each is broken by the import that it is there for."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("rowvec", "app", "standins")

FORBIDDEN = [
    ("rowvec/worker.py", "app.config"),
    ("rowvec/worker.py", "fastapi"),
    ("rowvec/worker.py", "standins.web"),
    ("app/main.py", "standins.web"),
    ("rowvec/settle.py", "tests.worker_kit"),
    ("app/workers/celery_app.py", "tests.worker_kit"),
    ("standins/web.py", "rowvec.errors"),
    ("standins/openai/till.py", "app.config"),
    ("rowvec/sources/metabase/guard.py", "rowvec.sources.local"),
    ("rowvec/embedders/openai/client.py", "rowvec.embedders.local"),
    ("rowvec/vectorstores/pinecone/http.py", "rowvec.vectorstores.lancedb.table"),
    ("rowvec/ledgers/sql/sqlite.py", "rowvec.ledgers.dynamodb"),
    ("rowvec/filestores/s3.py", "rowvec.filestores.folder"),
    ("app/api/routes/tasks.py", "rowvec.embedders.openai"),
    ("app/cli/tasks.py", "rowvec.vectorstores.pinecone"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the code with all of these imports at once."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file, module in FORBIDDEN:
        with (copy / file).open("a") as text:
            text.write(f"\nimport {module}\n")
    command: list[str | Path] = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(("file", "module"), FORBIDDEN)
def test_an_import_that_must_not_be_is_found(found: str, file: str, module: str) -> None:
    """Of whole packages, and of the folders in them; in whichever file it stands."""
    importer = file.removesuffix(".py").replace("/", ".")
    package = module.partition(".")[0]
    imported = module if package in PACKAGES else package
    assert f"- {importer} -> {imported} (" in found


def modules(package: str) -> Iterator[str]:
    """Every module that the package's files import, by its first name."""
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


def test_what_is_imported_is_declared() -> None:
    """What only comes with another package may be gone with its next version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {plain(name) for name in project["dependencies"]}
    own = {*sys.stdlib_module_names, "rowvec", "app"}
    found = {module for package in ("rowvec", "app") for module in modules(package)} - own
    given = packages_distributions()
    assert not {module for module in found if not declared & {plain(name) for name in given[module]}}
