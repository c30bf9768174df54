"""A peer as a way: its program, in its own virtual environment, in the run's folder."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.peers.attempt import LOOK_EVERY_SECONDS, Attempt, Start, Way
from benchmarks.peers.scene import Scene
from benchmarks.service import PASSED_ON, last_words

READY, DONE = "ready", "done"


class Runnable(Protocol):
    """What is to be started, under a name."""

    @property
    def name(self) -> str: ...

    def command(self, table: Path) -> list[str]: ...


def by(peer: Runnable) -> Way:
    """What it keeps on disk lies in the run's folder, and is there when it is started again."""

    @contextmanager
    def way(scene: Scene) -> Iterator[Start]:
        work = scene.folder / peer.name
        work.mkdir()

        @contextmanager
        def start() -> Iterator[Attempt]:
            program = _started(peer, scene, work)
            try:
                program.wait_ready()
                yield program
            finally:
                program.kill()
                program.process.communicate()

        yield start

    return way


def _started(peer: Runnable, scene: Scene, work: Path) -> Program:
    said, log = work / "said", work / "log"
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with said.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(
            peer.command(scene.table), cwd=work, env={**passed, **scene.others()},
            stdin=subprocess.PIPE, stdout=out, stderr=err,
        )  # fmt: skip
    return Program(process, said, log)


@dataclass(frozen=True, slots=True)
class Program:
    """A process of `programs/`: `said` has the lines it tells how far it is by, `log` its other words."""

    process: subprocess.Popen[bytes]
    said: Path
    log: Path

    def wait_ready(self) -> None:
        """Raises RuntimeError with its last words when it ends before."""
        while READY not in self._lines():
            if self._ended():
                raise RuntimeError(f"it did not start:\n{last_words(self.log)}")
            time.sleep(LOOK_EVERY_SECONDS)

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def over(self) -> bool:
        return DONE in self._lines() or self._ended()

    def ending(self) -> str:
        if DONE in self._lines():
            return "complete"
        *_, last = ["without a word", *last_words(self.log).strip().split("\n")]
        return f"died: {last[:120]}"

    def processes(self) -> list[int]:
        return [self.process.pid]

    def in_flight(self) -> int | None:
        return None

    def kill(self) -> None:
        self.process.kill()

    def _lines(self) -> list[str]:
        return self.said.read_text().split()

    def _ended(self) -> bool:
        """It stays a zombie, so that the system's account of it can still be read."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.process.pid, flags) is not None
