"""The command line on a data folder of its own: in this process where that is enough, else as a real one."""

from __future__ import annotations

import gzip
import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from app.cli import app
from app.cli.address import check_free
from app.cli.exits import Exit, exit_of
from app.cli.progress import Lines, Snapshot, clock
from app.cli.screen import printable, shortened
from app.config import Settings, settings
from rowvec.errors import (
    CredentialsRefused,
    DiskLow,
    InvalidRequest,
    QuotaExhausted,
    RateLimited,
    RowvecError,
    SourceDamaged,
    Unavailable,
    UnknownTask,
)

ROOT = Path(__file__).parent.parent
NO_TASK = "00000000-0000-4000-8000-000000000000"
COMMAND = [sys.executable, "-m", "app"]
OUTCOMES = ("upserted", "unchanged", "filtered", "duplicate", "rejected", "unprocessed")


@dataclass(frozen=True)
class Ran:
    data: Path
    run: subprocess.CompletedProcess[str]

    @property
    def task_id(self) -> str:
        return str(json.loads(self.run.stdout)["task_id"])


class CommandLine:
    """Runs commands on one data folder."""

    def __init__(self, data: Path, **environment: str) -> None:
        plain = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.environment = plain | {"DATA_DIR": str(data)} | environment

    def __call__(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)], cwd=ROOT, env=self.environment | environment,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    def json(self, *arguments: str | Path) -> Any:
        """The one document on stdout."""
        return json.loads(self(*arguments, "--json").stdout)


class Inside(CommandLine):
    """The same in this process, which takes no second to start; its logging stays as it is."""

    def __init__(self, data: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(data)
        self._patch = patch

    def __call__(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        for name, value in (self.environment | environment).items():
            self._patch.setenv(name, value)
        settings.cache_clear()
        done = CliRunner().invoke(app, list(map(str, arguments)))
        settings.cache_clear()
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("app.cli.door.configure_logging", lambda *_: None)
    monkeypatch.chdir(ROOT)
    return Inside(tmp_path / "data", monkeypatch)


@pytest.fixture
def shell(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The sample, run into a data folder by a real process."""
    data = tmp_path_factory.mktemp("indexed")
    options = ("--id-column", "id", "--text-template", "{title}: {body}", "--json")
    return Ran(data, CommandLine(data)("run", ROOT / "test_data/csv_files/sample.csv", *options))


@pytest.fixture
def indexed(sample: Ran, cli: Inside) -> Inside:
    """Commands on the folder of the sample."""
    cli.environment["DATA_DIR"] = str(sample.data)
    return cli


def table(path: Path, rows: int, broken: int | None = None) -> Path:
    """A table of `rows` rows, of which number `broken` has a cell too many."""
    with path.open("w") as file:
        file.write("id,text\n")
        for number in range(1, rows + 1):
            file.write(f"{number},text number {number}{',extra' if number == broken else ''}\n")
    return path


def only_error(run: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr: no traceback, nothing else."""
    lines = run.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), run.stderr
    return lines[0]


# run FILE


def test_run_takes_a_table_to_the_end(sample: Ran) -> None:
    """All ten rows land, the exit code is 0, and stdout holds one document whose numbers add up."""
    run = sample.run
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    law = document["conservation"]
    assert document["status"] == "completed"
    assert law["read"] == law["upserted"] == 10
    assert law["read"] == sum(law[name] for name in OUTCOMES)


def test_run_tells_progress_in_plain_lines(sample: Ran) -> None:
    """Without a terminal stderr has readable lines, no escape codes, and ends with the last state."""
    run = sample.run
    assert "\x1b" not in run.stderr
    assert run.stderr.splitlines()[-1].startswith("completed: 10 of 10 rows")


def test_run_ends_with_3_when_a_row_was_rejected(cli: Inside, shell: CommandLine, tmp_path: Path) -> None:
    """A row with a cell too many: exit code 3, a summary that adds up, and the way to the row."""
    run = shell("run", table(tmp_path / "t.csv", 5, broken=3), "--id-column", "id")
    assert run.returncode == Exit.REJECTED, run.stderr
    assert "5 rows read = 4 upserted + 1 rejected" in run.stdout
    listed = re.search(r"\./vectordb rejected (\S+)", run.stdout)
    assert listed
    rows = cli("rejected", listed[1])
    assert rows.returncode == 0 and rows.stdout.startswith("row 3: ")
    assert [row["row"] for row in cli.json("rejected", listed[1])] == [3]
    groups = cli("rejected", listed[1], "--groups")
    assert groups.stdout.startswith("1 rows: ") and "rows 3 to 3" in groups.stdout
    assert [group["count"] for group in cli.json("rejected", listed[1], "--groups")["groups"]] == [1]


def test_rejected_rows_are_repaired_and_run_again(cli: Inside, shell: CommandLine, tmp_path: Path) -> None:
    """`rejected ID --repair` is a table, `run FILE --repairs ID` takes it mended, `status` has the sum."""
    (tmp_path / "t.csv").write_text("id,title\na,one\nb\nc,three\n")
    parent = shell.json("run", tmp_path / "t.csv", "--id-column", "id", "--namespace", "mend")["task_id"]
    out = cli("rejected", parent, "--repair")
    (tmp_path / "mended.csv").write_text(out.stdout.replace("[repair] missing", "two"))
    run = shell.json("run", tmp_path / "mended.csv", "--repairs", parent)
    assert (out.returncode, run["namespace"], run["outcome"]) == (Exit.DONE, "mend", "all rows landed")
    assert "with 1 repair of it: 3 upserted, 0 open" in cli("status", parent).stdout


def test_rejected_rows_are_sent_in_again_unchanged(cli: Inside, shell: CommandLine, tmp_path: Path) -> None:
    """`retry ID --rejected` makes a child and says which; asked again it is the same one."""
    run = shell.json("run", table(tmp_path / "t.csv", 5, broken=3), "--id-column", "id")
    parent = run["task_id"]
    child = cli.json("retry", parent, "--rejected")
    again = cli("retry", parent, "--rejected")
    assert (child["parent_id"], child["status"]) == (parent, "pending")
    assert again.stdout == f"task {child['task_id']}: pending, with the rejected rows of task {parent}\n"
    done = shell("status", child["task_id"], "--follow")
    assert done.returncode == Exit.REJECTED and "1 rows read = 1 rejected" in done.stdout
    refused = cli("retry", parent)
    assert refused.returncode == Exit.USAGE and "completed" in only_error(refused)


def test_run_counts_what_the_dates_leave_out(shell: CommandLine, tmp_path: Path) -> None:
    """Rows outside the dates are counted as filtered; a relative path begins at CALLED_FROM."""
    shutil.copy(ROOT / "test_data/csv_files/sample.csv", tmp_path / "mine.csv")
    dates = ("--date-column", "created_at", "--start-date", "2025-03-01", "--end-date", "2025-04-30")
    run = shell("run", "mine.csv", *dates, CALLED_FROM=str(tmp_path))
    assert "10 rows read = 4 upserted + 6 filtered" in run.stdout, run.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["run", "no-such-file.csv"], "no-such-file.csv"),
        (["run", "test_data/csv_files/sample.csv", "--id-column", "nope"], "nope"),
        (["estimate", "no-such-file.csv"], "no-such-file.csv"),
        (["estimate", "test_data/csv_files/sample.csv", "--id-column", "nope"], "nope"),
        (["status", NO_TASK], NO_TASK),
        (["status", "not-an-id", "--follow"], "not-an-id"),
        (["cancel", NO_TASK], NO_TASK),
        (["verify", NO_TASK], NO_TASK),
        (["rejected", NO_TASK], NO_TASK),
        (["search", "  "], "query"),
        (["keys", "revoke", "nobody"], "nobody"),
        (["tasks", "--cursor", "nonsense"], "cursor"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(cli: Inside, arguments: list[str], words: str) -> None:
    """What the caller can mend is told in one line that names it, without a traceback."""
    run = cli(*arguments)
    assert run.returncode == Exit.USAGE
    assert words in only_error(run) and run.stdout == ""


def test_an_error_is_a_document_when_json_is_asked_for(cli: Inside) -> None:
    """With --json stdout holds one document even when the command fails."""
    assert cli.json("status", NO_TASK)["error"]["code"] == "unknown-task"


def test_a_setting_that_cannot_be_read_is_named(cli: Inside) -> None:
    """A wrong setting is one line with its name and exit code 2."""
    run = cli("tasks", PORT="eighty")
    assert run.returncode == Exit.USAGE and "PORT" in only_error(run)


def test_ctrl_c_keeps_the_work_and_says_how_to_go_on(shell: CommandLine, tmp_path: Path) -> None:
    """Interrupted: exit code 130 and the command to go on with, which then brings every row in."""
    big = table(tmp_path / "big.csv", 20_000)
    process = subprocess.Popen(
        [*COMMAND, "run", str(big), "--id-column", "id", "--batch-size", "500"],
        cwd=ROOT, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    task_id = next(line.split()[1] for line in process.stderr if line.startswith("task "))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED, err
    assert f"./vectordb status {task_id} --follow" in err and "Traceback" not in err and out == ""
    done = shell("status", task_id, "--follow")
    assert done.returncode == 0, done.stderr
    assert "20,000 rows read = 20,000 upserted" in done.stdout


# estimate FILE


def test_estimate_tells_what_a_run_would_come_to(cli: Inside, tmp_path: Path) -> None:
    """Rows, dollars and shares in both shapes with the options of `run`; no task and no upload is left."""
    options = (table(tmp_path / "t.csv", 5, broken=3), "--id-column", "id", "--batch-size", "2")
    found = cli.json("estimate", *options)
    assert (found["rows"], found["chunks"], found["rows_to_embed"], found["dollars"]) == (5, 3, 4, 0.0)
    human = cli("estimate", *options)
    assert human.returncode == 0, human.stderr
    assert human.stdout.startswith("5 rows, ") and "20.0% rejected" in human.stdout
    assert cli.json("tasks")["tasks"] == []
    assert not [path for path in (tmp_path / "data").rglob("*") if path.suffix == ".csv"]


def test_estimate_of_a_packed_table_says_how_it_is_spelt(cli: Inside, tmp_path: Path) -> None:
    """The size of the file and of its table, rows as in the table, and nothing of it in the data folder."""
    text = table(tmp_path / "t.csv", 5).read_text()
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode("utf-16")))
    found = cli.json("estimate", tmp_path / "t.csv.gz", "--id-column", "id")
    assert (found["rows"], found["rows_to_embed"], found["text_bytes"]) == (5, 5, len(text))
    assert (found["encoding"], found["compression"], found["exact"]) == ("utf-16", "gzip", True)
    human = cli("estimate", tmp_path / "t.csv.gz", "--id-column", "id").stdout
    assert f"bytes of utf-16 gzip ({len(text)} as UTF-8)" in human
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(text.encode())[:-9])
    cut = cli("estimate", tmp_path / "cut.csv.gz")
    assert cut.returncode == Exit.USAGE and "Truncated" in only_error(cut)


# Tasks and search


def test_tasks_and_status_agree_with_the_run(indexed: Inside, sample: Ran) -> None:
    """The list and the status show the task that the run told of, as one document each."""
    listed = indexed.json("tasks")
    assert [task["task_id"] for task in listed["tasks"]] == [sample.task_id] and listed["next_cursor"] is None
    assert indexed.json("status", sample.task_id)["progress"]["processed_records"] == 10
    assert sample.task_id in indexed("tasks").stdout


def test_status_shows_what_is_known_of_the_table(indexed: Inside, sample: Ran) -> None:
    """Its size, spelling and columns, and what it holds."""
    said = indexed("status", sample.task_id).stdout
    size = (ROOT / "test_data/csv_files/sample.csv").stat().st_size
    assert f"table: {size:,} bytes of utf-8; " in said
    assert " columns separated by ',' (id, title, " in said
    assert "10 rows in 1 chunks of up to 1,000, about 0.0 MB each in memory" in said


def test_search_finds_the_row_by_meaning(indexed: Inside) -> None:
    """A query that shares no word with the row finds it, with its score, in both shapes."""
    found = indexed.json("search", "something to write with", "--limit", "3")["matches"]
    assert "9" in [match["id"] for match in found] and len(found) == 3
    assert all(-1 <= match["score"] <= 1 for match in found)
    assert "Fountain pen" in indexed("search", "something to write with", "--limit", "3").stdout


def test_verify_compares_the_store(indexed: Inside, sample: Ran) -> None:
    """What was counted as landed is in the store, and the document says so."""
    found = indexed.json("verify", sample.task_id)
    assert (found["ok"], found["expected"], found["found"]) == (True, 10, 10)


def test_an_ended_task_cannot_be_paused(indexed: Inside, sample: Ran) -> None:
    """What the task's state does not allow is refused in one line."""
    refused = indexed("pause", sample.task_id)
    assert refused.returncode == Exit.USAGE
    only_error(refused)


# Keys


def test_a_key_is_shown_once_and_revoked(cli: Inside) -> None:
    """`create` alone shows the key; the list shows its id, and later that it is revoked."""
    made = cli.json("keys", "create", "--name", "ci")
    assert made["key"].startswith("vdb_live_")
    listed = cli("keys", "list")
    assert made["id"] in listed.stdout and made["key"] not in listed.stdout
    assert cli("keys", "revoke", made["id"]).returncode == 0
    assert cli.json("keys", "list")["keys"][0]["revoked_at"] is not None


# doctor and serve


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_doctor_is_content_with_a_fresh_folder(cli: Inside) -> None:
    """Before anything was started every part is looked at and nothing is wrong."""
    report = cli("doctor", "--json", PORT=str(free_port()))
    document = json.loads(report.stdout)
    assert report.returncode == 0, report.stdout
    parts = (
        "python, data folder, ledger, broker, file store, source, metabase, vector store, embedder, tokens, "
        "address, worker, API key"
    )
    assert [check["part"] for check in document["checks"]] == parts.split(", ")


def test_doctor_tells_a_problem_and_its_remedy(cli: Inside, taken: int) -> None:
    """A taken port: exit code 1, and the line says what to do."""
    report = cli("doctor", PORT=str(taken))
    assert report.returncode == Exit.FAILED
    problem = next(line for line in report.stdout.splitlines() if "PROBLEM" in line)
    assert "address" in problem and f"PORT={taken + 1}" in problem


def test_doctor_survives_settings_that_name_nothing(cli: Inside) -> None:
    """An unknown part is a finding, not an end of the examination."""
    report = cli("doctor", "--json", EMBEDDER="nonsense")
    checks = json.loads(report.stdout)["checks"]
    assert report.returncode == Exit.FAILED
    assert any(not check["ok"] and "nonsense" in check["detail"] for check in checks)


def test_serve_says_in_one_line_that_the_port_is_taken(cli: Inside, taken: int) -> None:
    """A busy port costs one line with the remedy, and exit code 2."""
    run = cli("serve", PORT=str(taken))
    assert run.returncode == Exit.USAGE
    assert f"PORT={taken + 1} make serve" in only_error(run)


def test_a_port_that_was_just_left_is_free() -> None:
    """Connections that still wait to be forgotten do not count as a program in the way."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            server.accept()[0].close()
            caller.recv(1)
    check_free("127.0.0.1", port, "")


# Screens


def on_a_terminal(shell: CommandLine, *arguments: str, **environment: str) -> str:
    """What a command writes to stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    env = shell.environment | {"TERM": "xterm"} | environment
    subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=theirs, timeout=60
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    return shown


def test_colours_follow_the_terminal_and_no_color(shell: CommandLine) -> None:
    """An error is red on a terminal, and is not where NO_COLOR is set."""
    assert "\x1b[1;31m" in on_a_terminal(shell, "status", NO_TASK)
    assert "31m" not in on_a_terminal(shell, "status", NO_TASK, NO_COLOR="1")


def test_lines_come_once_a_second_and_when_something_changed() -> None:
    """Ten changes in a second give one line; the last state is always told; no change, no line."""
    console = Console(file=io.StringIO(), record=True, width=200)
    lines = Lines(console)
    for tenth in range(10):
        lines.show(Snapshot("processing", tenth, 100, 0, over=False), now=tenth / 10)
    lines.show(Snapshot("processing", 50, 100, 0, over=False), now=5.0)
    lines.show(Snapshot("processing", 50, 100, 0, over=False), now=9.0)
    lines.show(Snapshot("completed", 100, 100, 2, over=True), now=9.1)
    told = console.export_text().splitlines()
    assert told[0] == "processing: 0 of 100 rows"
    assert told[1] == "processing: 50 of 100 rows, 10 rows/s, 5 s left"
    assert told[2].startswith("completed: 100 of 100 rows, ") and told[2].endswith(", 2 rejected")
    assert len(told) == 3


@pytest.mark.parametrize(
    "seconds, said",
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_times_read_like_a_person_says_them(seconds: float, said: str) -> None:
    """Seconds below a minute, minutes and seconds below an hour, hours and minutes beyond."""
    assert clock(seconds) == said


def test_a_row_cannot_steer_the_terminal() -> None:
    """Escape codes of whatever kind come out as spaces."""
    assert printable("a\x1b[31mb\x9b2Jc\rd\ne") == "a [31mb 2Jc d\ne"
    assert shortened("one\ntwo\tthree", 9) == "one two …"


@pytest.mark.parametrize(
    "error, code",
    [
        (UnknownTask("x"), Exit.USAGE),
        (SourceDamaged("x"), Exit.USAGE),
        (CredentialsRefused("x"), Exit.KEY_OR_QUOTA),
        (QuotaExhausted("x"), Exit.KEY_OR_QUOTA),
        (RateLimited("x"), Exit.UNREACHABLE),
        (Unavailable("x"), Exit.UNREACHABLE),
        (DiskLow("x"), Exit.FAILED),
        (InvalidRequest("x"), Exit.USAGE),
        (RowvecError("x"), Exit.FAILED),
    ],
)
def test_every_error_has_its_exit_code(error: RowvecError, code: Exit) -> None:
    """The codes are a promise to scripts."""
    assert exit_of(error) is code
