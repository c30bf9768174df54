"""SQLite as several processes can share it: how it is opened, begun, made durable and put into words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rowvec.errors import NotConfigured, Unavailable
from rowvec.ledgers.sql import shape
from rowvec.ledgers.sql.book import SqlBook
from rowvec.ledgers.sql.database import Database, WouldWait

T = TypeVar("T")
_OUR_MISTAKES = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
_BETWEEN_TRIES = 0.05
_BETWEEN_WRITES = 0.001
_WRITES = {"begin": "BEGIN IMMEDIATE"}
"""Execution options of a connection that writes: it waits for its turn when it begins, not midway."""


class Sqlite(Database):
    """One file. One transaction writes at a time, and so holds everything; a few read beside it."""

    writers = 1
    readers = 2
    lookers = 1

    def __init__(self, url: str, busy_seconds: float, clock: Callable[[], float] | None) -> None:
        self._path = path_of(url)
        self._busy_seconds = busy_seconds
        self.clock: Callable[[], float] = clock or time.time
        self._engine = _engine_for(self._path, busy_seconds, self.writers + self.readers + self.lookers)
        self._writing_engine = self._engine.execution_options(**_WRITES)
        self._glancing_engine = _engine_for(self._path, 0.0, 1)

    def prepare(self) -> None:
        """The folder, the file and its tables, where they are missing."""
        with self._in_words():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._log_ahead(time.monotonic() + self._busy_seconds)
            with self._engine.begin() as connection:
                if shape.is_today(connection):
                    return
            with self._writing_engine.begin() as connection:
                shape.bring_up_to_date(connection, str(self._path))

    def read(self, do: Callable[[SqlBook], T]) -> T:
        with self._in_words(), self._engine.begin() as connection:
            return do(SqlBook(connection, self.clock(), writes=False))

    def glance(self, do: Callable[[SqlBook], T]) -> T:
        """Readers wait for no writer, and for a moment only for who opens, repairs or closes the file."""
        with self._in_words():
            try:
                with self._glancing_engine.begin() as connection:
                    return do(SqlBook(connection, self.clock(), writes=False))
            except PoolTimeout as error:
                raise WouldWait from error
            except (OperationalError, sqlite3.OperationalError) as error:
                if _is_busy(error.orig if isinstance(error, OperationalError) else error):
                    raise WouldWait from error
                raise

    def write(self, do: Callable[[SqlBook], T]) -> T:
        with self._in_words(), self._writing_engine.begin() as connection:
            return do(SqlBook(connection, self.clock(), writes=True))

    def close(self) -> None:
        self._engine.dispose()
        self._glancing_engine.dispose()

    def _log_ahead(self, deadline: float) -> None:
        """Readers and a writer side by side. The switch ignores the busy time-out, hence the tries."""
        raw = self._engine.raw_connection()
        try:
            while not _switched(raw, deadline):
                time.sleep(_BETWEEN_TRIES)
        finally:
            raw.close()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Raises Unavailable for what keeps it from answering; our own mistakes stay as they are."""
        try:
            yield
        except _OUR_MISTAKES:
            raise
        except DatabaseError as error:
            raise self._unavailable(error.orig) from error
        except (sqlite3.DatabaseError, PoolTimeout, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, cause: BaseException | None) -> Unavailable:
        return Unavailable(
            f"The ledger at {self._path} does not answer: {cause}. Check that this is a ledger's file, that "
            "its folder can be written and has room, and that no other program holds it."
        )


def path_of(url: str) -> Path:
    """`ledger.db` of `sqlite:///ledger.db`. Raises NotConfigured for anything but a file of SQLite."""
    scheme, _, place = url.partition(":///")
    path = place.partition("?")[0]
    if scheme.partition("+")[0] != "sqlite" or path in ("", ":memory:"):
        raise NotConfigured(f"The ledger's address '{url}' is not sqlite:///path/to/ledger.db.")
    return Path(path)


def _engine_for(path: Path, busy_seconds: float, connections: int) -> Engine:
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
    event.listen(engine, "begin", partial(_begin, busy_seconds))
    return engine


def _make_durable(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(busy_seconds: float, connection: Connection) -> None:
    """A write waits for its turn here: SQLite itself sleeps for up to 100 ms at a time, and who has just
    written, as a busy worker has, is always faster."""
    begin = connection.get_execution_options().get("begin")
    raw: Any = connection.connection.dbapi_connection
    if begin is None:
        raw.execute("BEGIN")
        return
    deadline = time.monotonic() + busy_seconds
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while not _begun(raw, begin, deadline):
            time.sleep(_BETWEEN_WRITES)
    finally:
        raw.execute(f"PRAGMA busy_timeout={round(1000 * busy_seconds)}")


def _begun(raw: Any, begin: str, deadline: float) -> bool:
    try:
        raw.execute(begin)
    except sqlite3.OperationalError as error:
        if not _is_busy(error) or time.monotonic() > deadline:
            raise
        return False
    return True


def _is_busy(error: BaseException | None) -> bool:
    return (
        isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    )


def _switched(raw: Any, deadline: float) -> bool:
    return _begun(raw, "PRAGMA journal_mode=WAL", deadline)
