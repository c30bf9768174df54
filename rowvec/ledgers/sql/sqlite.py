"""SQLite as several processes can share it: how it is opened, begun, made durable and put into words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rowvec.errors import NotConfigured, Unavailable
from rowvec.ledgers.sql.tables import metadata

_OUR_MISTAKES = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
_BETWEEN_TRIES = 0.05
WRITES = {"begin": "BEGIN IMMEDIATE"}
"""Execution options of a connection that writes: it waits for its turn when it begins, not midway."""


def path_of(url: str) -> Path:
    """`ledger.db` of `sqlite:///ledger.db`. Raises NotConfigured for anything but a file of SQLite."""
    scheme, _, place = url.partition(":///")
    path = place.partition("?")[0]
    if scheme.partition("+")[0] != "sqlite" or path in ("", ":memory:"):
        raise NotConfigured(f"The ledger's address '{url}' is not sqlite:///path/to/ledger.db.")
    return Path(path)


def engine_for(path: Path, busy_seconds: float, connections: int) -> Engine:
    """Touches nothing until a connection is asked for."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": busy_seconds, "isolation_level": None},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=busy_seconds,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _make_durable)
    event.listen(engine, "begin", _begin)
    return engine


def _make_durable(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def create(engine: Engine, path: Path, busy_seconds: float) -> None:
    """The folder, the file and its tables, where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _log_ahead(engine, time.monotonic() + busy_seconds)
    with engine.execution_options(**WRITES).begin() as connection:
        _add_new_columns(connection)
        metadata.create_all(connection)


def _add_new_columns(connection: Connection) -> None:
    """A ledger of an earlier version gets the columns and indexes that came since, all optional."""
    there = inspect(connection)
    for table in metadata.sorted_tables:
        known = {c["name"] for c in there.get_columns(table.name)} if there.has_table(table.name) else None
        new = [column for column in table.columns if known is not None and column.name not in known]
        for column in new:
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")
        for index in table.indexes if new else ():
            index.create(connection, checkfirst=True)


def _log_ahead(engine: Engine, deadline: float) -> None:
    """Readers and a writer side by side. The switch ignores the busy time-out, hence the tries."""
    raw = engine.raw_connection()
    try:
        while not _switched(raw, deadline):
            time.sleep(_BETWEEN_TRIES)
    finally:
        raw.close()


def _switched(raw: Any, deadline: float) -> bool:
    try:
        raw.cursor().execute("PRAGMA journal_mode=WAL").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
            raise
        return False
    return True


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Raises Unavailable for what keeps the database from answering; our own mistakes stay as they are."""
    try:
        yield
    except _OUR_MISTAKES:
        raise
    except DatabaseError as error:
        raise _unavailable(path, error.orig) from error
    except (sqlite3.DatabaseError, PoolTimeout, OSError) as error:
        raise _unavailable(path, error) from error


def _unavailable(path: Path, cause: BaseException | None) -> Unavailable:
    return Unavailable(
        f"The ledger at {path} does not answer: {cause}. Check that this is a ledger's file, that its folder "
        "can be written and has room, and that no other program holds it."
    )
