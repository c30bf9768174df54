"""What the command line promises of every command: exit codes, JSON, completion, parting words."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from app.cli import app
from app.cli.exits import Exit
from standins.process import Standin, started
from tests.http_service import free_port
from tests.test_cli import COMMAND, NO_TASK, ROOT, CommandLine, table

SERVICES = {"serve", "worker"}
"""They run until they are stopped, and what they say is their log."""
NOBODY = "127.0.0.1:9"


@pytest.fixture
def shell(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data")


def commands() -> dict[str, Any]:
    """Every command by its words."""
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {part}": one for part, one in inner.items()} if inner else {name: command}
    return found


def test_every_command_that_answers_can_answer_in_json() -> None:
    """Also those that come; only what runs as a service has none."""
    without = {
        words for words, command in commands().items() if "json" not in {one.name for one in command.params}
    }
    assert without == SERVICES


def test_every_command_says_what_it_does() -> None:
    assert all(command.help for command in commands().values())


def test_an_error_is_one_document_on_stdout(shell: CommandLine) -> None:
    """With --json, beside the line on stderr, which has no colour where there is no terminal."""
    run = shell("status", NO_TASK, "--json")
    assert run.returncode == Exit.USAGE
    assert json.loads(run.stdout)["error"]["code"] == "unknown-task"
    assert run.stderr.startswith("error: ") and "\x1b" not in run.stderr


def test_unknown_options_are_usage(shell: CommandLine) -> None:
    for arguments in (["tasks", "--nope"], ["nope"], ["status"], ["tasks", "--limit", "many"]):
        assert shell(*arguments).returncode == Exit.USAGE


@pytest.fixture(scope="module")
def openai() -> Any:
    with started("openai", key="sk-promises-0123456789abcdef") as running:
        yield running


def test_a_refused_key_is_4_and_silence_is_5(shell: CommandLine, openai: Standin) -> None:
    """Each in one line that names the part."""
    embedder = {"EMBEDDER": "openai", "OPENAI_API_KEY": "sk-another-0123456789abcdef"}
    refused = shell("search", "lamp", OPENAI_BASE_URL=f"{openai.url}/v1", **embedder)
    assert refused.returncode == Exit.KEY_OR_QUOTA, refused.stderr
    assert "OPENAI_API_KEY" in refused.stderr and "Traceback" not in refused.stderr
    away = shell("tasks", LEDGER_URL=f"postgresql://nobody:x@{NOBODY}/none")
    assert away.returncode == Exit.UNREACHABLE, away.stderr
    assert len(away.stderr.splitlines()) == 1


def test_a_task_that_fails_is_1(shell: CommandLine, tmp_path: Path) -> None:
    """Every row rejected pauses it for a person: nothing is done, and how to go on is told."""
    (tmp_path / "bad.csv").write_text("id,text\n" + ",x\n" * 20_000)
    run = shell("run", tmp_path / "bad.csv", "--id-column", "id", "--batch-size", "100")
    assert run.returncode == Exit.FAILED, run.stderr
    assert "./vectordb resume" in run.stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_can_be_installed(shell: CommandLine, name: str) -> None:
    """Its script calls the command itself, so that it knows every command and option."""
    shown = shell(_VECTORDB_COMPLETE=f"source_{name}")
    assert shown.returncode == 0 and f"complete_{name}" in shown.stdout
    assert "--install-completion" in shell("--help").stdout


def test_completion_knows_the_commands(shell: CommandLine) -> None:
    words = {"_VECTORDB_COMPLETE": "complete_bash", "COMP_WORDS": "vectordb pre", "COMP_CWORD": "1"}
    assert shell(**words).stdout.split() == ["preview"]
    words |= {"COMP_WORDS": "vectordb estimate --id-", "COMP_CWORD": "2"}
    assert shell(**words).stdout.split() == ["--id-column"]


def test_preview_shows_rows_as_they_will_be_embedded(shell: CommandLine, tmp_path: Path) -> None:
    """For people and as a document, and nothing is kept."""
    place = table(tmp_path / "few.csv", 9, broken=2)
    human = shell("preview", place, "--id-column", "id", "--rows", "3")
    assert human.returncode == 0, human.stderr
    assert "row 1: id 1" in human.stdout and "row 2: rejected: 2 fields are expected" in human.stdout
    document = shell.json("preview", place, "--text-template", "<{text}>", "--rows", "1")
    assert [row["passages"] for row in document["rows"]] == [["<text number 1>"]]
    assert document["types"] == {"id": "number", "text": "string"}
    assert shell.json("tasks")["tasks"] == []


def test_ctrl_c_on_the_service_says_how_to_go_on(shell: CommandLine) -> None:
    """It stops in order, and what was submitted is kept."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port)], cwd=ROOT, env=shell.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    next(line for line in process.stderr if "Uvicorn running" in line)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "./vectordb serve" in err and "Traceback" not in err
