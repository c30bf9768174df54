"""SQLite that waits for no disk: without its power cut, a machine loses nothing that was written."""

from __future__ import annotations

import sqlite3

from sqlalchemy import event

from rowvec.ledgers.sql import SqlLedger
from rowvec.ledgers.sql.sqlite import Sqlite


def quick_disk(ledger: SqlLedger) -> None:
    """From its first connection on. PostgreSQL is told by the tests' own server."""
    if isinstance(ledger._database, Sqlite):
        event.listen(ledger._database._engine, "connect", _not_waiting)


def _not_waiting(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
