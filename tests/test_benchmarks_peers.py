"""The comparison: what is counted of a run, of a kill, and of a peer that is not there. No time is judged."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.peers import catalog, ours, program
from benchmarks.peers.attempt import follow
from benchmarks.peers.catalog import HERE, PEERS
from benchmarks.peers.killed import killed_once
from benchmarks.peers.scene import Scene, scene, table_of
from benchmarks.peers.speed import Run, Turns, spread
from benchmarks.process import cpu_seconds

ROWS = 600
PROGRAM = f"import sys; sys.path.append({str(HERE / 'programs')!r}); import errand; errand.run({{}})"


@dataclass(frozen=True)
class Code:
    """A peer whose program calls these words of Python with the table."""

    main: str
    name: str = "code"

    def command(self, table: Path) -> list[str]:
        return [sys.executable, "-c", PROGRAM.format(self.main), str(table)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path / "scene", table_of(tmp_path, ROWS), ROWS, {}, {}) as stage:
        yield stage


def test_a_program_works_between_two_words(stage: Scene) -> None:
    """It begins when it is told to, and waits after its end, so that its account can be read."""
    burn = "lambda table: [open(table).read() for _ in range(300)]"
    with program.by(Code(burn))(stage) as start, start() as attempt:
        (process,) = attempt.processes()
        assert not attempt.over()
        before = cpu_seconds(process)
        followed = follow(attempt)
        assert attempt.ending() == "complete"
        assert cpu_seconds(process) > before
        assert followed.peak > 5


def test_a_program_that_dies_is_told_by_its_last_words(stage: Scene) -> None:
    """Its CPU can still be read; nothing waits for it for ever."""
    with program.by(Code("lambda table: sum(range(9_000_000)) / 0"))(stage) as start, start() as attempt:
        follow(attempt)
        assert attempt.ending() == "died: ZeroDivisionError: division by zero"
        assert cpu_seconds(attempt.processes()[0]) > 0


def test_ours_is_killed_and_begun_again(stage: Scene) -> None:
    """The second start goes on with the same task: all rows are there once, and the account tells what was
    paid for twice. Each of the two starts pays for one text to try the model, too."""
    kill = killed_once(ours.embedded, stage)
    assert (kill.lost, kill.doubled, kill.ending) == (0, 0, "complete")
    assert kill.billed_before >= 0.4 * ROWS
    assert kill.in_flight is not None and kill.paid_twice <= kill.in_flight
    assert stage.billed() == ROWS + kill.paid_twice + 2


def test_a_peer_that_cannot_be_installed_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here there is no room for its virtual environment."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(catalog, "CACHE", tmp_path / "file")
    assert list(catalog.ready(["script"])) == []
    assert "the plain script is not measured, for it cannot be installed: " in capsys.readouterr().err
    assert catalog.wanted() == ["script"]


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)
def test_a_peer_is_pinned_and_its_program_is_there(peer: catalog.Peer) -> None:
    """Every line of its requirements is one version of one package."""
    assert (HERE / "programs" / peer.program).is_file()
    lines = peer.requirements.read_text().splitlines()
    assert lines and all(line.count("==") == 1 for line in lines)


def test_a_ratio_is_of_one_round() -> None:
    """Rows that landed a second, ours to theirs: what did not land does not count."""

    def run(landed: int, seconds: float) -> Run:
        return Run(1000, landed, seconds, 0.5, 100, 0.1, 0.0, "complete")

    turns = Turns([run(1000, 10), run(500, 10)], [run(1000, 1), run(1000, 2)])
    assert turns.ratios == [10, 10]
    assert spread([3.0, 1.0, 2.0]) == "2 (1–3)"
    assert spread([3.0]) == "3"
