"""Each file of infrastructure/ is read by the tool it is for, and that has nothing to say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.http_service import ROOT

INFRASTRUCTURE = ROOT / "infrastructure"
UNITS = ("vectordb-api.service", "vectordb-worker.service")
MOST_EXPOSED = 2.5


def run(command: Sequence[str | Path], **variables: str) -> subprocess.CompletedProcess[str]:
    beside = str(Path(sys.executable).parent)
    path = {"PATH": f"{beside}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, env=path | variables, capture_output=True, text=True, timeout=120
    )


def silent(command: Sequence[str | Path], **variables: str) -> bool:
    done = run(command, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return True


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that stands for /, with what the units start and hold on to."""
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in (INFRASTRUCTURE / "systemd").iterdir():
        shutil.copy(unit, units)
    for program in ("opt/vectordb/current/.venv/bin/python", "bin/kill"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", tmp_path / program)
    for target in ("sysinit", "basic", "network-online", "sockets", "multi-user", "shutdown", "network"):
        (units / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    for needed in ("-.mount", "system.slice", "-.slice", "tmp.mount"):
        (units / needed).write_text("[Unit]\nDescription=needed\n" + MOUNT.get(needed, ""))
    return tmp_path


MOUNT = {"-.mount": "[Mount]\nWhat=none\nWhere=/\n", "tmp.mount": "[Mount]\nWhat=none\nWhere=/tmp\n"}


@pytest.mark.parametrize("unit", [*UNITS, "vectordb-api.socket"])
def test_systemd_reads_the_units(machine: Path, unit: str) -> None:
    assert silent(
        ["systemd-analyze", "verify", "--man=no", f"--root={machine}", f"/etc/systemd/system/{unit}"]
    )


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_closed_in(unit: str) -> None:
    """systemd's own measure, from 0 (nothing open) to 10."""
    told = run(["systemd-analyze", "security", "--offline=true", INFRASTRUCTURE / "systemd" / unit]).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    assert found and float(found[1]) <= MOST_EXPOSED, told[-500:]


def test_hadolint_reads_the_dockerfile() -> None:
    assert silent(["hadolint", INFRASTRUCTURE / "docker/Dockerfile"])


def test_shellcheck_reads_the_scripts() -> None:
    assert silent(["shellcheck", "vectordb", *sorted((ROOT / "scripts").glob("*.sh"))])


def test_compose_reads_its_file(tmp_path: Path) -> None:
    """Where the two files that are not in the repository are there, as its head asks for."""
    shutil.copytree(INFRASTRUCTURE / "docker", tmp_path / "docker")
    shutil.copy(ROOT / ".env.example", tmp_path / "docker/vectordb.env")
    file = tmp_path / "docker/docker-compose.yml"
    done = run(["docker-compose", "-f", file, "config", "--quiet"], POSTGRES_PASSWORD="x")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run(["docker-compose", "-f", file, "config", "--quiet"]).returncode != 0


def test_the_image_holds_what_it_needs_and_no_more() -> None:
    """Each thing that is copied exists, is let into the build, and nothing else of the folder is."""
    dockerfile = (INFRASTRUCTURE / "docker/Dockerfile").read_text()
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for name in line.split()[:-1]
    }
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert all((ROOT / name).exists() for name in copied)
    assert copied == let_in


@pytest.mark.parametrize("kind", ["rules", "test"])
def test_promtool_reads_the_alerts(kind: str) -> None:
    """Their form, and what they do on series that are made up (infrastructure/prometheus/alerts.test.yml)."""
    command = {"rules": ["check", "rules", "alerts.yml"], "test": ["test", "rules", "alerts.test.yml"]}[kind]
    done = subprocess.run(
        ["promtool", *command], cwd=INFRASTRUCTURE / "prometheus", capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_agent_reads_what_the_services_may_write() -> None:
    """Agent, logrotate and the steps of the documentation name one file, in the folder that the units own."""
    agent = json.loads((INFRASTRUCTURE / "cloudwatch/agent.json").read_text())
    (log,) = agent["logs"]["logs_collected"]["files"]["collect_list"]
    assert f"CLOUDWATCH_METRICS={log['file_path']}" in (ROOT / "docs/deployment.md").read_text()
    assert f"\n{log['file_path']} {{" in (INFRASTRUCTURE / "cloudwatch/logrotate.conf").read_text()
    for unit in UNITS:
        owned = re.findall(r"^LogsDirectory=(.+)$", (INFRASTRUCTURE / "systemd" / unit).read_text(), re.M)
        assert [f"/var/log/{name}" for name in owned] == [str(Path(log["file_path"]).parent)]
