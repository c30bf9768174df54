"""All tasks of a ledger, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rowvec.ledgers.base import Ledger
from rowvec.model import Task

PAGE = 200


async def all_tasks(ledger: Ledger, state: str | None = None) -> AsyncIterator[Task]:
    """Newest first; those of one state that callers see, or all. Tasks submitted meanwhile are left out."""
    cursor: str | None = None
    while True:
        page = await ledger.tasks(PAGE, cursor, state)
        for task in page.tasks:
            yield task
        if page.cursor is None:
            return
        cursor = page.cursor
