"""PostgreSQL as many workers on many hosts share it: begun, run again and put into words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rowvec.errors import Unavailable
from rowvec.ledgers.sql import shape
from rowvec.ledgers.sql.address import Address
from rowvec.ledgers.sql.book import SqlBook
from rowvec.ledgers.sql.database import Database, WouldWait
from rowvec.ledgers.sql.held import HeldBook
from rowvec.ledgers.sql.shared import SharedBook

T = TypeVar("T")

_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"
_READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_CLOCK}"
_WRITE = f"BEGIN; {_CLOCK}"
"""Begun, and told the time, in one message. Each statement of one that writes sees what was committed before
it, and so what the last holder left."""

_RUNS = 5
"""How often a transaction is run that was broken off through no fault of its own."""

_STOPPED_SECONDS = 3.0
"""A transaction in which nothing is said for so long belongs to a process that was stopped, or to a host that
is lost: it must not keep others from taking over, whose lease may be short."""

_IN_EACH_OTHERS_WAY = ("40001", "40P01")
_NOT_THERE = ("42P01", "42703", "3F000", "42501")
"""Tables, columns or a schema that are missing, or not for this user."""

_OUR_MISTAKES = ("0A", "22", "23", "42")
_READ_ONLY = "25006"


class Postgresql(Database):
    """A few connections, opened when needed.

    A transaction whose connection breaks is run again on another one, and so outlives a restart of the
    server. Only when the answer to a COMMIT is lost does nobody know, and then the caller hears of it.
    """

    writers = 4
    readers = 2
    lookers = 2

    def __init__(self, url: str, busy_seconds: float, clock: Callable[[], float] | None) -> None:
        self._address = Address(url)
        self._patience = {
            "statement_timeout": busy_seconds,
            "idle_in_transaction_session_timeout": min(busy_seconds, _STOPPED_SECONDS),
        }
        self.clock = clock
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=self._address.connect,
            pool_size=self.writers + self.readers + self.lookers,
            max_overflow=0,
            pool_timeout=busy_seconds,
            hide_parameters=True,
            use_native_hstore=False,
        )
        event.listen(self._engine, "connect", self._be_patient)

    def prepare(self) -> None:
        if not self._run(_READ, lambda connection, _: shape.is_today(connection)):
            self._run(_WRITE, lambda connection, _: self._bring_up_to_date(connection))

    def read(self, do: Callable[[SqlBook], T]) -> T:
        return self._run(_READ, lambda connection, now: do(SharedBook(connection, now)))

    def glance(self, do: Callable[[SqlBook], T]) -> T:  # noqa: ARG002 (the contract's signature)
        raise WouldWait

    def write(self, do: Callable[[SqlBook], T]) -> T:
        return self._run(_WRITE, lambda connection, now: do(HeldBook(connection, now, writes=True)))

    def close(self) -> None:
        self._engine.dispose()

    # One transaction

    def _run(self, begin: str, do: Callable[[Connection, float], T]) -> T:
        with self._in_words():
            for _ in range(_RUNS - 1):
                try:
                    return self._once(begin, do)
                except DBAPIError as error:
                    if not (error.connection_invalidated or _state_of(error.orig) in _IN_EACH_OTHERS_WAY):
                        raise
            return self._once(begin, do)

    def _once(self, begin: str, do: Callable[[Connection, float], T]) -> T:
        with self._engine.connect() as connection:
            now = connection.exec_driver_sql(begin).scalar_one()
            answer = do(connection, self.clock() if self.clock else now)
            self._commit(connection)
            return answer

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except DBAPIError as error:
            raise self._unavailable(error.orig) from error

    def _bring_up_to_date(self, connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        HeldBook(connection, 0.0, writes=True).alone("shape")
        shape.bring_up_to_date(connection, str(self._address))

    def _be_patient(self, connection: psycopg.Connection[Any], _record: object) -> None:
        """How long others, and an answer, are waited for, and a process that holds rows and does nothing."""
        for name, seconds in self._patience.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, f"{seconds * 1000:.0f}"])
        connection.execute("SET default_transaction_isolation = 'read committed'")

    # In words

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Raises Unavailable for what keeps the server from answering; our own mistakes stay as they are."""
        try:
            yield
        except DBAPIError as error:
            state = _state_of(error.orig)
            if state[:2] in _OUR_MISTAKES and state not in _NOT_THERE:
                raise
            if state == _READ_ONLY:
                self._engine.dispose()
            raise self._unavailable(error.orig) from error
        except (psycopg.Error, PoolTimeout, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, cause: BaseException | None) -> Unavailable:
        words = isinstance(cause, psycopg.Error) and cause.diag.message_primary
        said = " ".join((words or str(cause)).split()).rstrip(".?")
        return Unavailable(
            f"The ledger at {self._address} does not answer: {said}. Check that the server runs, that "
            "LEDGER_URL names it, and that its user may make and write tables there."
        )


def _state_of(error: BaseException | None) -> str:
    """The SQLSTATE of a server's answer; empty where it gave none."""
    return (isinstance(error, psycopg.Error) and error.sqlstate) or ""
