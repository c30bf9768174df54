"""`python -m tests.infrastructure.stubborn …`: Celery, whose workers believe in what they hold.

They look at no clock, ask nobody before a write, and do not hear that they were taken for dead: of all that
keeps a late worker from doing harm, only the fence is left.
"""

from __future__ import annotations

import sys

from celery.__main__ import main

from rowvec.lease import Heartbeat
from rowvec.ledgers.books.ledger import BookLedger
from rowvec.model import Claim
from rowvec.worker import Worker


async def holds(_ledger: BookLedger, _worker: str, _claim: Claim) -> bool:
    return True


async def rise_again(_worker: Worker) -> None:
    return


if __name__ == "__main__":
    Heartbeat.left = lambda _: 60.0  # type: ignore[method-assign, assignment]
    BookLedger.holds = holds  # type: ignore[method-assign, assignment]
    Worker._rise_again = rise_again  # type: ignore[method-assign, assignment]
    sys.argv = ["celery", *sys.argv[1:]]
    main()
