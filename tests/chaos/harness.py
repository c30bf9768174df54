"""The run: start the service, give it a table, kill all of it again and again, and let it end."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.service import Service
from tests.chaos import account, marks, moments
from tests.chaos.marks import Mark, Tail
from tests.chaos.moments import Moment
from tests.chaos.table import TEMPLATE, Table

NAMESPACE = "chaos"
LOOK = 0.002
TASK_LOOK = 10.0
"""Seconds without what is waited for, after which the task is looked at."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a run is made of. `pace`: seconds that each request to the embedder lasts longer."""

    kills: int
    chunk_size: int
    embedder: str
    pace: float
    seconds: float


@dataclass(slots=True)
class Run:
    """What a run left to look at."""

    table: Table
    setup: Setup
    task_id: str = ""
    kills: list[str] = field(default_factory=list)
    lives: list[account.Life] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    duplicates: int = 0
    embedded_once: int = 0
    vectors: Path = Path()
    seconds: float = 0.0

    @property
    def kills_by_phase(self) -> Counter[str]:
        return Counter(self.kills)


class Chaos:
    """One run in a folder of its own."""

    def __init__(
        self, folder: Path, table: Table, setup: Setup, chance: random.Random, tell: Callable[[str], None]
    ) -> None:
        self._table = table
        self._setup = setup
        self._chance = chance
        self._tell = tell
        self._deadline = time.monotonic() + setup.seconds
        self._life = -1
        self._task_id = ""
        marked = folder / "marks"
        self._service = Service(
            folder,
            EMBEDDER="tests.chaos.parts:MarkedEmbedder",
            LEDGER_URL="tests.chaos.parts:MarkedLedger",
            VECTOR_STORE_URL="tests.chaos.parts:MarkedStore",
            **{
                marks.FILE: str(marked),
                marks.EMBEDDER: setup.embedder,
                marks.PACE: str(setup.pace),
            },
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._tail = Tail(marked)

    def run(self) -> Run:
        """Raises when the service dies by itself or the time is over; never leaves a process behind."""
        began = time.monotonic()
        run = Run(self._table, self._setup)
        try:
            with self._service:
                self._start()
                self._task_id = run.task_id = self._submit()
                self._kill_and_start(run)
                self._let_it_end(run)
                self._service.stop()
        finally:
            self._tail.close()
        run.lives = account.lives(self._tail.seen)
        run.vectors = self._service.data / "vectors"
        run.seconds = time.monotonic() - began
        return run

    def _start(self) -> None:
        self._life += 1
        self._service.start(**{marks.LIFE: str(self._life)})

    def _submit(self) -> str:
        self._service.wait_alive()
        return self._service.submit(
            data_source="upload",
            file_id=self._service.upload(self._table.data),
            batch_size=self._setup.chunk_size,
            namespace=NAMESPACE,
            id_column="id",
            text_template=TEMPLATE,
            metadata_columns=["title"],
        )

    def _kill_and_start(self, run: Run) -> None:
        wanted = moments.phases(self._setup.kills, self._chance)
        for place, phase in enumerate(wanted):
            left = sum(later not in (moments.PLANNING, moments.SETTLING) for later in wanted[place:])
            last = place + 1 == len(wanted)
            moment = moments.moment(phase, self._room(left), self._setup.pace, last, self._chance)
            run.kills.append(self._await_moment(moment))
            self._service.kill()
            self._tell(f"kill {place + 1:>3}, {run.kills[-1]:<12}{self._done():>5} chunks done")
            self._start()

    def _room(self, kills_left: int) -> float:
        """Chunks a life may finish so that every later kill of the middle still finds one at work."""
        chunks = -(-len(self._table.records) // self._setup.chunk_size)
        return (chunks - self._done()) / (kills_left + 1)

    def _done(self) -> int:
        return len({mark.number for mark in self._tail.seen if mark.what == marks.COMMITTED})

    def _await_moment(self, moment: Moment) -> str:
        """Returns when it is time to kill, with the phase that is hit."""
        if self._has_ended():
            self._until(lambda life: _saw(life, marks.ALIVE))
            return "after the end"
        self._until(lambda life: moment.has_come(life) or moment.is_over(life))
        due = time.monotonic() + moment.delay
        self._until(lambda life: time.monotonic() >= due or moment.is_over(life))
        return moment.hit(self._this_life())

    def _until(self, done: Callable[[list[Mark]], bool]) -> None:
        """Until `done` of the marks of this life. Raises when the service ends, the task has failed, or the
        time is over."""
        look = time.monotonic() + TASK_LOOK
        while True:
            list(self._tail.more())
            if done(self._this_life()):
                return
            self._service.must_run()
            if time.monotonic() > look:
                self._must_not_have_failed()
                look = time.monotonic() + TASK_LOOK
            if time.monotonic() > self._deadline:
                raise TimeoutError(f"no end after {self._setup.seconds:.0f} s:\n{self._service.log_end()}")
            time.sleep(LOOK)

    def _must_not_have_failed(self) -> None:
        """Nothing would come any more of a task that has."""
        self._service.wait_alive()
        if (status := self._service.status(self._task_id))["status"] == "failed":
            raise RuntimeError(f"the task has failed: {status['error']}")

    def _this_life(self) -> list[Mark]:
        return [mark for mark in self._tail.seen if mark.life == self._life]

    def _has_ended(self) -> bool:
        return _saw(self._tail.seen, marks.SETTLED)

    def _let_it_end(self, run: Run) -> None:
        self._service.wait_alive()
        run.status = self._service.end_of(run.task_id, max(1.0, self._deadline - time.monotonic()))
        run.rejected = self._service.left_out(run.task_id)
        run.duplicates = len(self._service.left_out(run.task_id, "duplicate"))
        chunks = self._service.chunks(run.task_id)
        run.embedded_once = sum(chunk["counts"]["embedded"] for chunk in chunks)
        list(self._tail.more())


def _saw(seen: list[Mark], what: str) -> bool:
    return any(mark.what == what for mark in seen)
