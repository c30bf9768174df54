"""The corpus: small hostile tables in `tests/corpus/`, and beside them what must become of each.

A folder holds the files of one class and `expected.toml`, with a table for each file: `why` it is there,
and one of three ends. `request` are options of the task; without any, the id column is `id` (an empty name:
none) and the text column is `text`. `limits` are limits of the machine, smaller than by default.

    refused = "source-damaged"    at the door, with this code; its words hold `says`, it names `field`
    failed = "words"              the task fails before anything is spent, with these words in its reason
    landed = ["1", "2"]           it completes; these row ids are in the store, in the order of the file

With `landed`, all other rows are listed: `rejected` (row, line, code, perhaps words that its reason `says`;
`mended` are the cells to which a person mends it, `id` the id it then has, if not the first of them),
`duplicate` and `filtered` (row numbers). `warnings` are rows that landed with less metadata, `blank_lines`
are counted, and `texts`, `metadata` and `passages` say what is stored of some ids.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rowvec.intake import TaskRequest, submit
from rowvec.machine import Limits
from rowvec.model import Task
from tests.worker_kit import PATIENCE, WatchedLedger, Workshop

CORPUS = Path(__file__).parent / "corpus"
EXPECTED = "expected.toml"


@dataclass(frozen=True)
class Rejected:
    """A row that is rejected, and what it is mended to."""

    row: int
    line: int
    code: str
    mended: Sequence[str]
    says: str = ""
    id: str | None = None

    @property
    def mended_id(self) -> str:
        return self.mended[0] if self.id is None else self.id


@dataclass(frozen=True)
class Warned:
    """A row that lands with something left out of its metadata."""

    row: int
    says: str


@dataclass(frozen=True)
class Refused:
    code: str
    says: str
    field: str | None = None


@dataclass(frozen=True)
class Failed:
    says: str


@dataclass(frozen=True)
class Completed:
    landed: Sequence[str]
    rejected: Sequence[Rejected] = ()
    duplicate: Sequence[int] = ()
    warnings: Sequence[Warned] = ()
    filtered: Sequence[int] = ()
    blank_lines: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    passages: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.landed) + len(self.rejected) + len(self.duplicate) + len(self.filtered)

    @property
    def numbers(self) -> dict[str, int]:
        """The row number of each id that landed."""
        elsewhere = {note.row for note in self.rejected} | {*self.duplicate, *self.filtered}
        rows = [row for row in range(1, self.rows + 1) if row not in elsewhere]
        return dict(zip(self.landed, rows, strict=True))


@dataclass(frozen=True)
class SmallLimits:
    max_record_bytes: int = 1 << 20
    max_tokens: int = 8_192
    max_metadata_bytes: int = 1 << 20


@dataclass(frozen=True)
class Case:
    """A file of the corpus, how it is submitted, and its expected end."""

    path: Path
    why: str
    request: Mapping[str, Any]
    limits: SmallLimits
    end: Refused | Failed | Completed

    def __str__(self) -> str:
        return self.path.relative_to(CORPUS).as_posix()

    def wish(self, **changes: Any) -> TaskRequest:
        wish = TaskRequest("local", self.path.name, id_column="id", text_columns=["text"])
        wish = replace(wish, **{**self.request, **changes})
        return replace(wish, id_column=wish.id_column or None)


def cases() -> list[Case]:
    """Every case of the corpus; a file without a table, or a table without a file, is an error."""
    return [case for folder in sorted(CORPUS.iterdir()) for case in _of_folder(folder)]


def _of_folder(folder: Path) -> Iterator[Case]:
    tables = tomllib.loads((folder / EXPECTED).read_text("utf-8"))
    files = {path.name for path in folder.iterdir()} - {EXPECTED}
    if files != set(tables):
        raise ValueError(f"{folder.name}: {sorted(files ^ set(tables))} has no file or no table")
    for name, table in tables.items():
        yield _case(folder / name, table)


def _case(path: Path, table: dict[str, Any]) -> Case:
    why, request = table.pop("why"), table.pop("request", {})
    limits = SmallLimits(**table.pop("limits", {}))
    return Case(path, why, request, limits, _end(table))


def _end(table: dict[str, Any]) -> Refused | Failed | Completed:
    if "refused" in table:
        return Refused(table.pop("refused"), **table)
    if "failed" in table:
        return Failed(table.pop("failed"), **table)
    for name, kind in (("rejected", Rejected), ("warnings", Warned)):
        table[name] = [kind(**note) for note in table.get(name, [])]
    return Completed(**table)


class CountingLedger(WatchedLedger):
    """Counts the ends of tasks, so that whoever waits for several looks at them once."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._ends = asyncio.Semaphore(0)

    async def ends_of(self, task_ids: Sequence[str]) -> list[Task]:
        """These tasks, which are all that there are, when as many have ended."""
        async with asyncio.timeout(PATIENCE):
            for _ in task_ids:
                await self._ends.acquire()
        return [await self.task(task_id) for task_id in task_ids]

    async def settled(self, task_id: str, fence: int, duplicates: int, passages: int) -> None:
        await super().settled(task_id, fence, duplicates, passages)
        self._ends.release()

    async def fail(self, task_id: str, fence: int, error: str) -> None:
        await super().fail(task_id, fence, error)
        self._ends.release()


class Bench(Workshop):
    """A machine with a file of the corpus in its folder, under the case's limits; it never asks a person."""

    def __init__(self, folder: Path, case: Case) -> None:
        super().__init__(folder, case.limits.max_tokens)
        self.ledger: CountingLedger = CountingLedger(f"sqlite:///{folder}/ledger.db")
        self.machine = replace(self.machine, ledger=self.ledger)
        self.store.max_metadata_bytes = case.limits.max_metadata_bytes
        self.machine = replace(self.machine, limits=_asking_nobody(case.limits.max_record_bytes))
        (folder / case.path.name).write_bytes(case.path.read_bytes())

    def lift_limits(self) -> None:
        """A table to repair has longer records than its rows had."""
        self.machine = replace(self.machine, limits=_asking_nobody(SmallLimits.max_record_bytes))

    async def run(self, wishes: Sequence[TaskRequest]) -> list[Task]:
        """The tasks of these wishes after one worker has brought them all to their ends."""
        await self.ledger.ready()
        submitted = [(await submit(self.machine, wish)).task.id for wish in wishes]
        async with self.worker():
            return await self.ledger.ends_of(submitted)

    async def found(self, namespace: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """Text and metadata of everything stored, by vector id."""
        vector = (await self.embedder.embed(["any"])).vectors[0]
        return {
            match.id: (match.text, match.metadata)
            for match in await self.store.search(namespace, vector, 10_000)
        }


def _asking_nobody(max_record_bytes: int) -> Limits:
    return Limits(max_record_bytes=max_record_bytes, rejected_share=1.0)
