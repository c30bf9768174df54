"""The open pages of a ledger: what can be read and written within one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rowvec.errors import UnknownTask
from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books.rules import Entry, Shelf
from rowvec.model import ApiKey, Chunk, ChunkState, PlannedChunk, Task, TaskState, WorkerInfo


@dataclass(frozen=True, slots=True)
class Filling:
    """What a namespace is filled with."""

    model: str
    dimension: int


class Book(ABC):
    """One transaction: nobody else writes while it writes, and all of it lands or nothing."""

    now: float
    """The ledger's clock when the transaction began."""

    def entry(self, task_id: str) -> Entry:
        """Raises UnknownTask."""
        entry = self.find(task_id)
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
    def find(self, task_id: str) -> Entry | None: ...

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
    def newest(self, limit: int, below: int | None, seen: str | None) -> list[Entry]:
        """By falling order, only orders under `below`, only tasks callers see as `seen`."""

    @abstractmethod
    def children(self, task_id: str) -> list[Entry]:
        """Tasks whose parent it is, oldest first."""

    @abstractmethod
    def idle(self, states: Sequence[TaskState], limit: int) -> list[Entry]:
        """Tasks in these states that no worker holds, not on hold and due by now; oldest first."""

    @abstractmethod
    def held_by(self, worker: str) -> list[Entry]:
        """Tasks which that worker plans or settles."""

    @abstractmethod
    def finishable(self) -> list[Entry]:
        """Tasks that may have come to their end: at least all those that `finished` would move."""

    # Chunks

    @abstractmethod
    def chunk(self, task_id: str, number: int) -> Chunk | None: ...

    @abstractmethod
    def chunks(self, task_id: str, limit: int, after: int, state: ChunkState | None) -> list[Chunk]:
        """By number, only numbers above `after`."""

    @abstractmethod
    def add_chunks(self, task_id: str, chunks: Sequence[PlannedChunk]) -> list[PlannedChunk]:
        """Add those whose numbers are not there yet, and return them."""

    @abstractmethod
    def put_chunks(self, chunks: Sequence[Chunk]) -> None: ...

    @abstractmethod
    def claimed(self, task_id: str) -> int:
        """How many chunks of the task are claimed."""

    @abstractmethod
    def claimed_by(self, worker: str) -> list[Chunk]: ...

    @abstractmethod
    def shelves(self, worker: str, most: int, most_per_task: Allowance | None) -> list[Shelf]:
        """What the worker may take, from the tasks with the fewest claimed chunks, oldest first.

        A shelf holds up to `most` ready and due chunks, and no more than the worker may still claim
        of that task. Tasks on hold have none.
        """

    @abstractmethod
    def end_waits(self, task_id: str) -> None:
        """Set back `not_before` of all chunks of the task."""

    @abstractmethod
    def reopen_failed(self, task_id: str) -> None:
        """Failed chunks become ready, as if never tried."""

    # Workers

    @abstractmethod
    def put_worker(self, worker: WorkerInfo) -> None: ...

    @abstractmethod
    def worker(self, worker: str) -> WorkerInfo | None: ...

    @abstractmethod
    def workers(self) -> list[WorkerInfo]: ...

    @abstractmethod
    def drop_worker(self, worker: str) -> None: ...

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
