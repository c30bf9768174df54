"""The one Celery task: there may be work."""

from __future__ import annotations

from celery import shared_task

BUSY_SECONDS = 60.0
"""How long a process shows as busy before it hears the next message."""


@shared_task(name="vectordb.work")  # type: ignore[untyped-decorator]
def work() -> None:
    """Take work from the ledger until there is none left for this process."""
    from app.workers.celery_app import pool

    pool.resident.work(BUSY_SECONDS)
