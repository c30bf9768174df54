"""The durable record of tasks, chunks, workers and keys: the only truth about what is done.

Every operation is one conditional write (or one short transaction over a task and a chunk) or one
read, so that any database with conditional writes can hold it. Time is the ledger's own clock.

    task   pending → planning → processing → settling → completed | failed
           a hold (paused, cancelling) stops the hand-out of work; cancelling ends in cancelled
    chunk  ready → claimed(worker, fence) → done | ready (attempts + 1, not before) | failed
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rowvec.ledgers.register import Register
from rowvec.ledgers.roster import Roster
from rowvec.model import (
    Chunk,
    ChunkFiles,
    ChunkState,
    Claim,
    Counts,
    Flag,
    Mark,
    PlannedChunk,
    ProviderPause,
    Task,
    TaskState,
    Totals,
    WorkerInfo,
)
from rowvec.spec import TaskSpec
from rowvec.tally import Tally

Allowance = Callable[[Task], int]
"""How many chunks of this task one worker may hold."""

MAX_CRASHES = 20
"""How often a worker may die over the same work, without its coming on, before that work is given up."""

MOST_MARKS = 20_000
"""How many chunks one look shows."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """`fresh` is False when an earlier task answers for this submission."""

    task: Task
    fresh: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first; `cursor` continues after the last, None at the end."""

    tasks: Sequence[Task]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Around:
    """A task and what is told beside it: the ledger's clock, the tasks that repaired rows of it, oldest
    first, and, unless it has ended and so waits for nothing, all workers and the providers that are paused
    by hand."""

    task: Task
    now: float
    children: Sequence[Task]
    workers: Sequence[WorkerInfo] = ()
    pauses: Sequence[ProviderPause] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole ledger at one moment of its clock, at a cost that does not grow with what is done.

    `tasks` counts those that have not ended by the state callers see, `slowest` says of those at work, by
    where they stand, when the one came on last that has stood still for longest. `tally` is what all workers
    did, those that have left too: it never falls.
    """

    now: float
    tasks: Mapping[str, int]
    slowest: Mapping[TaskState, float]
    workers: Sequence[WorkerInfo]
    tally: Tally


class Ledger(Register, Roster):
    @classmethod
    @abstractmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> Ledger:
        """A ledger at `url`; cheap, touches nothing until `ready`."""

    @abstractmethod
    async def ready(self) -> None:
        """Create what is missing (tables, folders); idempotent, safe under races."""

    @abstractmethod
    async def now(self) -> float:
        """The ledger's clock: seconds since the epoch."""

    # Tasks

    @abstractmethod
    async def submit(
        self, spec: TaskSpec, idempotency_key: str | None = None, most_queued: int | None = None
    ) -> Submitted:
        """Record a new task in `pending`.

        With an idempotency key seen before: the earlier task (fresh=False) if the spec is equal,
        else IdempotencyConflict. Without one: an equal spec whose task has not ended answers with
        that task (fresh=False). Of two equal submissions at once exactly one is fresh. Tenants know
        nothing of each other's specs and keys. With `most_queued` a fresh task is refused (LimitReached)
        while a task of its account has not been planned, or theirs have so many unprocessed rows.
        """

    @abstractmethod
    async def task(self, task_id: str) -> Task:
        """Raises UnknownTask."""

    @abstractmethod
    async def tasks(
        self,
        limit: int = 50,
        cursor: str | None = None,
        state: str | None = None,
        tenant: str | None = None,
    ) -> Page:
        """Newest first. `state` filters by the state callers see: pending, processing (planning,
        processing and settling, not paused), paused, cancelling, completed, failed, cancelled. `tenant`
        filters by who owns them; None: all.

        Raises InvalidRequest for a cursor it did not make.
        """

    @abstractmethod
    async def children(self, task_id: str) -> list[Task]:
        """Tasks submitted with this one as `parent_id`, oldest first. Raises UnknownTask."""

    async def around(self, task_id: str) -> Around:
        """`task`, `now`, `children`, `workers` and `provider_pauses` at once, where that costs less. Raises
        UnknownTask."""
        task, now, children = await self.task(task_id), await self.now(), await self.children(task_id)
        if task.state.ended:
            return Around(task, now, children)
        return Around(task, now, children, await self.workers(), await self.provider_pauses())

    @abstractmethod
    async def chunks(
        self, task_id: str, limit: int = 1000, after: int = -1, state: ChunkState | None = None
    ) -> list[Chunk]:
        """Chunks with numbers above `after`, by number. Raises UnknownTask."""

    @abstractmethod
    async def rejecting(self, task_id: str, limit: int = 1000, after: int = -1) -> list[Chunk]:
        """The same, of chunks of which rows were rejected. Raises UnknownTask."""

    @abstractmethod
    async def marks(self, task_id: str, limit: int = MOST_MARKS, after: int = -1) -> list[Mark]:
        """The same in short, for a look at all of them: one cheap read. Raises UnknownTask."""

    @abstractmethod
    async def flag(self, task_id: str, flag: Flag, reason: str | None = None) -> Task:
        """Do what a caller asks; returns the task after it.

        pause: a task that has not ended and is not cancelling is held as paused with `reason`.
        resume: a paused task goes on where it stood (all `not_before` of its chunks are cleared).
        cancel: no new work; `finish_if_done` (called here too) ends it in cancelled once no chunk
        is claimed and nobody plans or settles it. Also from paused.
        retry: a failed task goes back to processing (planning if it was never planned): its failed
        chunks become ready with attempts and crashes 0, rows_failed and chunks_failed are set back.
        Idempotent: asking again for what is already so changes nothing. Otherwise WrongState.
        """

    @abstractmethod
    async def retry_chunks(self, task_id: str, numbers: Sequence[int]) -> Task:
        """Of these chunks those that failed become ready, as if never tried; a failed task goes back to
        work with them, and fails again when only other failed chunks are left. Returns the task after it.

        Many go in steps, each of which may be repeated. Raises UnknownTask, and WrongState unless the task
        has failed or is at work.
        """

    @abstractmethod
    async def seal(self, task_id: str) -> Task:
        """See to it that an ended task never goes on: a failed one becomes cancelled, and keeps its error.

        Idempotent. Raises UnknownTask, and WrongState where it has not ended.
        """

    @abstractmethod
    async def forget(self, task_id: str) -> None:
        """Remove a task that is completed or cancelled with its chunks, its idempotency key and what it has
        spent, as if it had never been; its order is not given out again. Of those which name it as their
        parent nothing changes.

        A large one goes in steps, each of which may be repeated. Raises UnknownTask, and WrongState in any
        other state.
        """

    # Planning

    @abstractmethod
    async def append_chunks(self, task_id: str, fence: int, chunks: Sequence[PlannedChunk]) -> None:
        """Add chunks in `ready` and their rows to `rows_planned`; numbers already there are skipped.

        Where any is new, the plan's attempts and crashes are counted anew.
        Raises LeaseLost unless the task is planning, not held, and its fence is `fence`.
        """

    @abstractmethod
    async def pinned(self, task_id: str, fence: int, spec: TaskSpec) -> None:
        """The table has been exported: from now on the task's spec is this one. Which submissions are
        equal is still told by the spec that was submitted.

        Raises LeaseLost as append_chunks does.
        """

    @abstractmethod
    async def planned(self, task_id: str, fence: int, totals: Totals) -> None:
        """The scan is complete: planning → processing, the lease is let go, then finish_if_done.

        Raises LeaseLost as append_chunks does.
        """

    # Work

    @abstractmethod
    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        """Hand out up to `most` pieces of work to a live worker, each to nobody else.

        A claim bumps the fence of its chunk (or, for PLAN and SETTLE, of its task). Planning
        first, then settling, then chunks, lowest number first, shared fairly: each next chunk comes from the
        task with the fewest claimed chunks. Nothing of a held task, nothing before its
        `not_before`; a task pending becomes planning and gets `started_at`. A worker that is not
        alive in the ledger gets nothing. `most_per_task` says how many chunks
        of a task this worker may hold. Where the answer to a claim was lost (Unavailable), the worker's next
        one begins with what it was given then: a living worker holds nothing that it does not know of.
        """

    @abstractmethod
    async def commit(self, task_id: str, number: int, fence: int, counts: Counts, files: ChunkFiles) -> None:
        """claimed → done, adding counts to the task in the same write; then finish_if_done.

        Raises ValueError unless read = accounted = the rows of the chunk, and LeaseLost unless
        the chunk is claimed under this fence. Works while the task is paused or cancelling.
        """

    @abstractmethod
    async def hand_back(
        self, task_id: str, number: int, fence: int, error: str | None, not_before: float
    ) -> None:
        """claimed → ready, not before that time; attempts + 1 when there is an error. LeaseLost as above."""

    @abstractmethod
    async def give_up(self, task_id: str, number: int, fence: int, error: str) -> None:
        """claimed → failed, its rows to `rows_failed`; then finish_if_done. LeaseLost as above."""

    @abstractmethod
    async def release(self, task_id: str, fence: int, error: str | None, not_before: float) -> None:
        """Let go of a plan or settle claim so that it is claimed again, not before that time;
        attempts + 1 when there is an error. Raises LeaseLost unless the task's fence is `fence`
        and it is held by a worker."""

    @abstractmethod
    async def settled(self, task_id: str, fence: int, duplicates: int, passages: int) -> None:
        """settling → completed. `duplicates` rows are moved from upserted to duplicate, and
        `passages` are taken off passages. Raises LeaseLost unless settling under this fence."""

    @abstractmethod
    async def fail(self, task_id: str, fence: int, error: str) -> None:
        """planning or settling under this fence → failed, with the error. Raises LeaseLost."""

    @abstractmethod
    async def finish_if_done(self, task_id: str) -> None:
        """Idempotent. If no hold: a processing task whose chunks are all done → settling, whose
        chunks are all done or failed with a failure → failed with an error that counts them. If
        cancelling: cancelled once nothing of it is claimed."""

    @abstractmethod
    async def holds(self, worker: str, claim: Claim) -> bool:
        """Is this claim still the worker's own, and is the worker alive?"""

    # All of it

    @abstractmethod
    async def overview(self) -> Overview:
        """How much waits and is at work, and what all workers did together."""

    @abstractmethod
    async def ping(self) -> None:
        """Raises Unavailable, in words, when it does not answer."""

    async def close(self) -> None:
        """Let go of connections and threads."""
        return
