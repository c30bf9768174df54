"""The demo: the table it builds, and the whole tour as a real process."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.cli.demo import SEARCHES

ROOT = Path(__file__).parent.parent
Rows = list[dict[str, str]]


def build(path: Path, seed: str) -> Path:
    """Build the table in a process of its own, with its own order of hashes and its own secret."""
    command = [sys.executable, "-m", "app.demo.stdlib_table", str(path)]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": seed, "API_KEYS": f"canary-{seed}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0 and run.stderr == "", run.stderr
    with path.open(encoding="utf-8", newline="") as file:
        assert run.stdout == f"{sum(1 for _ in csv.reader(file)) - 1}\n"
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("table") / "stdlib.csv", "1")


@pytest.fixture(scope="module")
def rows(built: Path) -> Rows:
    with built.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_there_are_thousands_of_rows(rows: Rows) -> None:
    """Enough rows for several chunks, few enough for a minute."""
    assert 3000 <= len(rows) <= 8000


def test_names_are_unique_and_plain(rows: Rows) -> None:
    """The name is the id: no two rows share one, and every one is kept as it is."""
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and 0 < len(name) <= 512 for name in names)


def test_every_row_has_something_to_embed(rows: Rows) -> None:
    """No row is without a summary, and a summary is one line."""
    assert all(row["summary"] and "\n" not in row["summary"] for row in rows)


def test_the_table_is_an_awkward_one(rows: Rows) -> None:
    """It holds quotes, commas and line breaks: what a naive reader falls over."""
    cells = "".join(row["docstring"] + row["signature"] for row in rows)
    assert all(sign in cells for sign in '",\n')


def test_well_known_names_are_there(rows: Rows) -> None:
    """Functions, classes, methods and `os.path`, each under the name that people import."""
    names = {row["name"] for row in rows}
    assert {
        "json.dumps",
        "collections.OrderedDict",
        "os.path.join",
        "builtins.str.split",
        "asyncio.Queue",
    } <= names
    assert all(any(name.endswith(expected) for name in names) for _, expected in SEARCHES)


def test_no_setting_gets_into_the_table(built: Path) -> None:
    """Some functions have the environment as a default value: none of it may be indexed."""
    assert b"canary-" not in built.read_bytes()


def test_the_same_python_builds_the_same_table(built: Path, tmp_path: Path) -> None:
    """Two builds are equal byte for byte: no addresses, no order of hashes."""
    assert build(tmp_path / "again.csv", "2").read_bytes() == built.read_bytes()


def environment(data: Path, port: int) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return plain | {"DATA_DIR": str(data), "PORT": str(port)}


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/livez", timeout=5.0).is_success
    except httpx2.TransportError:
        return False


def test_the_tour_indexes_and_finds(tmp_path: Path, free: int) -> None:
    """Exit 0 means: every row landed, each search found what it should, and the service is gone again.

    Whatever the environment and `.env` choose (here parts of which none answers), the demo needs none of it.
    """
    (tmp_path / ".env").write_text("BROKER_URL=redis://127.0.0.1:1/0\n")
    others = {"PYTHONPATH": str(ROOT), "LEDGER_URL": "postgresql://127.0.0.1:1/none", "EMBEDDER": "openai"}
    run = subprocess.run(
        [sys.executable, "-m", "app", "demo", "--json"],
        cwd=tmp_path, env=environment(tmp_path, free) | others, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    law = document["task"]["conservation"]
    assert law["read"] == law["upserted"] >= 3000
    assert [search["right"] for search in document["searches"]] == [True] * len(SEARCHES)
    assert run.stderr.startswith(f"The service is at http://127.0.0.1:{free}")
    assert not answers(free)


def test_a_taken_port_costs_one_line(tmp_path: Path, taken: int) -> None:
    """A busy port: exit code 2 and the remedy, before anything was built."""
    run = subprocess.run(
        [sys.executable, "-m", "app", "demo"],
        cwd=ROOT, env=environment(tmp_path, taken), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 2
    assert (
        run.stderr
        == f"error: Port {taken} is in use by another program. Use another one: PORT={taken + 1} make demo\n"
    )
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_service(tmp_path: Path, free: int, number: signal.Signals) -> None:
    """Ctrl-C, or a polite kill, in the middle: exit code 130, and nothing listens any more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "demo"],
        cwd=ROOT, env=environment(tmp_path, free), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "rows of documentation" in line:
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not answers(free)


def test_a_service_that_cannot_start_is_told_with_its_log(tmp_path: Path, free: int) -> None:
    """When the service ends at once, the error names its log; nothing hangs."""
    (tmp_path / "ledger.db").mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "app", "demo"],
        cwd=ROOT, env=environment(tmp_path, free), capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert run.returncode == 1
    assert "error: " in run.stderr and str(tmp_path / "demo" / "service.log") in run.stderr
