"""What the pages for an operator on call name is there: commands as they are written, calls, scripts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer._click.exceptions import UsageError
from typer.core import TyperGroup

from app.cli import app
from app.main import app as api
from tests.http_service import ROOT

RUNBOOK = ROOT / "docs/runbook"
PAGES = sorted([*ROOT.glob("docs/*.md"), *RUNBOOK.glob("*.md"), ROOT / "README.md"])
UNITS = {path.name.split(".")[0] for path in (ROOT / "infrastructure/systemd").iterdir()} | {"nginx"}
STANDS_FOR_ANY = {"NAME": "embedder", "FILE": "README.md", "ID": "00000000-0000-4000-8000-000000000000"}


def code_of(page: Path) -> list[str]:
    """What stands between backticks, and each line of a block."""
    text = page.read_text()
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.S | re.M)
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))
    return [line for block in blocks for line in block.splitlines()] + [" ".join(s.split()) for s in spans]


def commands() -> list[tuple[str, str]]:
    found = {
        (page.name, line.strip().partition("./vectordb ")[2])
        for page in PAGES
        for line in code_of(page)
        if line.strip().startswith("./vectordb ")
    }
    return sorted(found)


def parse(line: str) -> None:
    """As the command line would, without doing it. Raises UsageError."""
    line = re.split(r"\s+(?:#|>|<|\|)\s*", line)[0]
    words = [STANDS_FOR_ANY.get(word, word) for word in shlex.split(line)]
    command = typer.main.get_command(app)
    context: typer.Context | None = None
    name: str | None = "vectordb"
    if words[0].startswith("--"):
        command.make_context("vectordb", words, resilient_parsing=True)
        return
    while isinstance(command, TyperGroup):
        context = typer.Context(command, info_name=name, parent=context)
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
    if words:  # else it is only named
        command.make_context(name, words, parent=context)


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_of_the_pages_can_be_given(page: str, line: str) -> None:
    """The command is there, and takes these arguments and options."""
    parse(line)


@pytest.mark.parametrize("line", ["prone --days 3", "prune --weeks 1", "keys rotate ID --queued-rows 5"])
def test_a_command_that_cannot_be_given_is_noticed(line: str) -> None:
    with pytest.raises(UsageError):
        parse(line)


def test_calls_of_the_pages_are_answered() -> None:
    """`GET /api/v1/…` and the like: the method and the path are those of a route."""
    routes = {
        (method.upper(), re.sub(r"{\w+}", "*", path))
        for path, methods in api.openapi()["paths"].items()
        for method in methods
    }
    named = {
        (page.name, method, path)
        for page in PAGES
        for code in code_of(page)
        for method, path in re.findall(r"\b(GET|POST|DELETE|PUT) (/[a-z0-9/_{}A-Z-]+)", code)
    }
    wanted = {(p, m, re.sub(r"{\w+}|(?<=/)(ID|NAME|N)(?=/|$)", "*", path)) for p, m, path in named}
    assert {call for call in wanted if call[1:] not in routes and call[2].startswith("/api/v1/")} == set()
    assert len(wanted) > 10


def test_scripts_and_units_of_the_pages_are_there() -> None:
    for page in PAGES:
        for code in code_of(page):
            for script in re.findall(r"\bscripts/\w+\.(?:sh|py)", code):
                assert (ROOT / script).exists(), (page.name, script)
            for unit in re.findall(r"(?:systemctl \w+(?: --now)?|journalctl -u) ([a-z-]+)", code):
                assert unit in UNITS, (page.name, unit)


def test_every_alert_has_its_page() -> None:
    """It is headed by the alert's name, listed in the runbook, and says what to look at and what to do."""
    rules = (ROOT / "infrastructure/prometheus/alerts.yml").read_text()
    alerts = dict(re.findall(r"- alert: (\w+)\n.*?runbook: (\S+)", rules, re.S))
    assert len(alerts) == rules.count("- alert:")
    listed = dict(re.findall(r"^\| \[(\w+)\]\(([\w-]+\.md)\)", (RUNBOOK / "README.md").read_text(), re.M))
    assert {name: f"docs/runbook/{page}" for name, page in listed.items()} == alerts
    for name, page in alerts.items():
        text = (ROOT / page).read_text()
        assert text.startswith(f"# {name}\n")
        assert "**Look**" in text or name == "VectordbMemoryHigh", page
        assert re.search(r"^\| .*\bdo \|$", text, re.M), page
    assert {path.name for path in RUNBOOK.glob("*.md")} == {*listed.values(), "README.md"}
