"""Pages that hold rows, where several transactions write at once."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from rowvec.ledgers.sql.book import SqlBook
from rowvec.ledgers.sql.rows import worker_row
from rowvec.ledgers.sql.statements import IN_WORK
from rowvec.ledgers.sql.tables import tasks, workers
from rowvec.model import Chunk, WorkerInfo

_SHARED = (
    select(tasks.c.position)
    .where(tasks.c.id == bindparam("wanted"), IN_WORK)
    .with_for_update(read=True, key_share=True)
)


class HeldBook(SqlBook):
    """A task's row is held by whoever changes it (`FOR NO KEY UPDATE`) and shared, beside that, by those who
    claim its chunks (`FOR KEY SHARE`). Whoever changes what is handed out keeps all away (`FOR UPDATE`).
    """

    def alone(self, subject: str) -> None:
        self._connection.execute(select(func.pg_advisory_xact_lock(_number_of(subject)))).scalar_one()

    def take(self, task_id: str, most: int) -> list[Chunk]:
        shared = self._connection.execute(_SHARED, {"wanted": task_id}).first()
        return [] if shared is None else super().take(task_id, most)

    def put_worker(self, worker: WorkerInfo) -> None:
        row = worker_row(worker)
        query = insert(workers).values(row)
        self._connection.execute(query.on_conflict_do_update(index_elements=[workers.c.id], set_=row))


def _number_of(subject: str) -> int:
    """64 bits; two subjects of one number only wait for each other."""
    return int.from_bytes(sha256(f"rowvec ledger {subject}".encode()).digest()[:8], signed=True)
