"""Who works for a ledger, and is alive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping

from rowvec.model import WorkerInfo
from rowvec.usage import Usage

NOTHING = Usage()


class Roster(ABC):
    @abstractmethod
    async def enlist(self, worker: WorkerInfo) -> None:
        """A new worker, alive from now."""

    @abstractmethod
    async def beat(
        self, worker: str, holding: int, waits: Mapping[str, str] = {}, usage: Usage = NOTHING
    ) -> bool:
        """Still alive, for all it holds, what it waits for, by task, and what it uses. False if it has been
        buried: it holds nothing any more."""

    @abstractmethod
    async def bury(self, workers: Collection[str]) -> int:
        """These workers are dead: take back all they hold (chunk to ready, crashes + 1, or failed
        once crashes exceed MAX_CRASHES; plan or settle lease let go). Returns how many pieces."""

    @abstractmethod
    async def retire(self, worker: str) -> None:
        """A worker leaves in peace: what it still holds goes back without a crash counted."""

    @abstractmethod
    async def sweep(self, lease_seconds: float) -> int:
        """Bury every worker whose last beat is older than that, then finish_if_done for every
        task that has not ended. Returns how many pieces of work were taken back."""

    @abstractmethod
    async def workers(self) -> list[WorkerInfo]:
        """Workers not buried or retired."""
