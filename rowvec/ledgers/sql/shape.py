"""The shape of a SQL ledger: which one it has, and the way from there to today's.

A shape is a number, kept in the ledger itself. An empty ledger gets today's at once; an older one goes
through the steps in `migrations/versions`, for which alone alembic is loaded.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, insert, inspect, select

from rowvec.errors import NotConfigured
from rowvec.ledgers.sql.tables import metadata, shape, tasks

TODAY = "0006"
"""The last of `migrations/versions`."""

STEPS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = Lock()
"""alembic keeps the connection it works on in a global place."""


def is_today(connection: Connection) -> bool:
    return inspect(connection).has_table(shape.name) and _recorded(connection) == TODAY


def bring_up_to_date(connection: Connection, where: str) -> None:
    """Within a transaction that nobody else is in. Raises NotConfigured for a ledger newer than this code."""
    known = inspect(connection).has_table(shape.name)
    found = _recorded(connection) if known else _before_numbers(connection, where)
    if found is None:
        metadata.create_all(connection, checkfirst=False)
        _record(connection)
    elif found > TODAY:
        raise NotConfigured(
            f"The ledger at {where} has shape {found}, which a newer version of this service gave it; this "
            f"one knows shapes up to {TODAY}. Start the newer version, or name another ledger in LEDGER_URL."
        )
    elif found < TODAY:
        climb(connection, since=None if known else found)
    elif not known:
        shape.create(connection)
        _record(connection)


def _recorded(connection: Connection) -> str | None:
    return connection.execute(select(shape.c.version_num)).scalar_one_or_none()


def _record(connection: Connection) -> None:
    connection.execute(insert(shape).values(version_num=TODAY))


def _before_numbers(connection: Connection, where: str) -> str | None:
    """The shape of a ledger that was made before shapes had numbers; None where there is no ledger.

    Only SQLite held ledgers then: elsewhere a table of that name is somebody else's, and left alone.
    """
    there = inspect(connection)
    taken = [table for table in metadata.tables if there.has_table(table)]
    if not taken:
        return None
    if connection.dialect.name != "sqlite":
        raise NotConfigured(
            f"The database {where} has a table '{taken[0]}' already, and it is not a ledger's. Name a "
            "database of its own in LEDGER_URL, or a schema that is there (?options=-csearch_path%3Dledger)."
        )
    columns = {column["name"] for column in there.get_columns(tasks.name)}
    return "0002" if "parent_id" in columns else "0001"


def climb(connection: Connection, until: str = "head", since: str | None = None) -> None:
    """Take the steps from the recorded shape, or from `since` where none is recorded."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        if since is not None:
            command.stamp(config, since)
        command.upgrade(config, until)
