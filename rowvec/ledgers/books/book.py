"""The open pages of a ledger: what can be read and written within one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rowvec.api_key import ApiKey
from rowvec.errors import UnknownTask
from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books.rules import Entry, Shelf
from rowvec.model import (
    Chunk,
    ChunkState,
    Mark,
    PlannedChunk,
    ProviderPause,
    Task,
    TaskState,
    WorkerInfo,
)
from rowvec.tally import Tally


@dataclass(frozen=True, slots=True)
class Filling:
    """What a namespace is filled with."""

    model: str
    dimension: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an account has used in a period, which is known by its number."""

    period: int
    used: int


class Book(ABC):
    """One transaction: all of it lands, or nothing.

    What a writing transaction *holds*, nobody else changes before its end. Where one writes at a time, it
    holds everything. Elsewhere it holds what the methods below say, and this order keeps transactions from
    waiting for each other in a circle: `alone`, then a worker, then a task, then that task's chunks. Several
    tasks are held only by who is alone with burials, and by a claim, which passes over what others hold.
    """

    now: float
    """The ledger's clock when the transaction began."""

    def alone(self, subject: str) -> None:  # noqa: B027 - where one writes at a time, it is alone already
        """Until the end, no other transaction is alone with this subject."""

    def entry(self, task_id: str, closed: bool = False) -> Entry:
        """The task, held with all its chunks but those that wait to be claimed; with `closed` those, too.

        Raises UnknownTask.
        """
        entry = self.find(task_id, closed)
        if entry is None:
            raise UnknownTask(f"There is no task '{task_id}'.")
        return entry

    def save(self, before: Entry, after: Entry) -> Entry:
        """Store a changed entry under its next version; one that is unchanged is not touched."""
        if after == before:
            return before
        after = replace(after, task=replace(after.task, version=before.task.version + 1))
        self.put(before, after)
        return after

    # Tasks

    @abstractmethod
    def find(self, task_id: str, closed: bool = False) -> Entry | None:
        """As `entry`; None where there is none."""

    @abstractmethod
    def add(self, task: Task, fingerprint: str, key: str | None) -> Entry: ...

    @abstractmethod
    def put(self, before: Entry, after: Entry) -> None: ...

    @abstractmethod
    def by_key(self, key: str) -> Entry | None: ...

    @abstractmethod
    def running(self, fingerprint: str) -> Entry | None:
        """The newest task of that spec which has not ended."""

    @abstractmethod
    def newest(self, limit: int, below: int | None, seen: str | None, tenant: str | None) -> list[Entry]:
        """By falling order, only orders under `below`, only tasks callers see as `seen`, only of `tenant`."""

    @abstractmethod
    def unended(self) -> list[Entry]:
        """All tasks that have not ended."""

    @abstractmethod
    def children(self, task_id: str) -> list[Entry]:
        """Tasks whose parent it is, oldest first."""

    @abstractmethod
    def idle(self, states: Sequence[TaskState], limit: int) -> list[Entry]:
        """Tasks in these states that no worker holds, not on hold and due by now; oldest first.

        Each is held; those that others hold at this moment are passed over.
        """

    @abstractmethod
    def held_by(self, worker: str) -> list[Entry]:
        """Tasks which that worker plans or settles, each held."""

    @abstractmethod
    def counted(self) -> Mapping[str, int]:
        """How many tasks that have not ended callers see in each state."""

    @abstractmethod
    def slowest(self) -> Mapping[TaskState, float]:
        """Of the tasks seen as processing, by where they stand: the earliest `rules.last_progress`."""

    @abstractmethod
    def finishable(self) -> list[Entry]:
        """Tasks that may have come to their end, each held: at least all those that `finished` would move."""

    @abstractmethod
    def drop(self, entry: Entry) -> None:
        """Remove a task that has ended and has no chunks any more."""

    # Chunks

    @abstractmethod
    def chunk(self, task_id: str, number: int) -> Chunk | None: ...

    @abstractmethod
    def chunks(self, task_id: str, limit: int, after: int, state: ChunkState | None) -> list[Chunk]:
        """By number, only numbers above `after`."""

    @abstractmethod
    def rejecting(self, task_id: str, limit: int, after: int) -> list[Chunk]:
        """Those of which rows were rejected, by number, only numbers above `after`."""

    @abstractmethod
    def marks(self, task_id: str, limit: int, after: int) -> list[Mark]:
        """By number, only numbers above `after`, and no more is read of each than that."""

    @abstractmethod
    def numbered(self, task_id: str, numbers: Sequence[int]) -> list[Chunk]:
        """Those of these numbers that are there."""

    @abstractmethod
    def add_chunks(self, task_id: str, chunks: Sequence[PlannedChunk]) -> list[PlannedChunk]:
        """Add those whose numbers are not there yet, and return them."""

    @abstractmethod
    def put_chunks(self, chunks: Sequence[Chunk]) -> None: ...

    @abstractmethod
    def claimed(self, task_id: str) -> int:
        """How many chunks of the task are claimed."""

    @abstractmethod
    def tasks_of(self, worker: str) -> list[str]:
        """Ids of the tasks of which that worker has claimed chunks."""

    @abstractmethod
    def claimed_by(self, worker: str, task_id: str) -> list[Chunk]:
        """The chunks of the task which that worker has claimed."""

    @abstractmethod
    def shelves(self, worker: str, most: int, most_per_task: Allowance | None) -> list[Shelf]:
        """What the worker may take, from the tasks with the fewest claimed chunks, oldest first.

        A shelf has room for up to `most` ready and due chunks, and for no more than the worker may still
        claim of that task. Tasks on hold have none.
        """

    @abstractmethod
    def take(self, task_id: str, most: int) -> list[Chunk]:
        """Up to `most` ready and due chunks, lowest number first, each held.

        Those that others hold at this moment are passed over. A task on hold has none; one that is not is not
        put on hold before the end.
        """

    @abstractmethod
    def end_waits(self, task_id: str) -> None:
        """Set back `not_before` of all chunks of the task."""

    @abstractmethod
    def reopen_failed(self, task_id: str) -> None:
        """Failed chunks become ready, as if never tried."""

    @abstractmethod
    def drop_chunks(self, task_id: str, most: int) -> int:
        """Remove up to so many chunks of a task that has ended; returns how many."""

    # Workers

    @abstractmethod
    def put_worker(self, worker: WorkerInfo) -> None: ...

    @abstractmethod
    def worker(self, worker: str) -> WorkerInfo | None:
        """The worker, held, with all it may claim."""

    @abstractmethod
    def workers(self) -> list[WorkerInfo]: ...

    @abstractmethod
    def drop_worker(self, worker: str) -> None: ...

    @abstractmethod
    def departed(self) -> Tally:
        """What workers did that are not there any more."""

    @abstractmethod
    def put_departed(self, tally: Tally) -> None:
        """By who is alone with burials."""

    # Namespaces and keys

    @abstractmethod
    def filling(self, namespace: str) -> Filling | None: ...

    @abstractmethod
    def fill(self, namespace: str, filling: Filling) -> None: ...

    @abstractmethod
    def key(self, key_id: str) -> ApiKey | None: ...

    @abstractmethod
    def keys(self) -> list[ApiKey]: ...

    @abstractmethod
    def put_key(self, key: ApiKey) -> None: ...

    @abstractmethod
    def drawn(self, account: str) -> Drawn | None: ...

    @abstractmethod
    def put_drawn(self, account: str, drawn: Drawn) -> None: ...

    @abstractmethod
    def drop_drawn(self, account: str) -> None: ...

    # Providers

    @abstractmethod
    def pauses(self) -> list[ProviderPause]:
        """By provider."""

    @abstractmethod
    def put_pause(self, pause: ProviderPause) -> None:
        """Of a provider that is not paused."""

    @abstractmethod
    def drop_pause(self, provider: str) -> None: ...
