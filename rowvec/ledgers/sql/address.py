"""Where a PostgreSQL ledger is, and how it is reached. What is shown of it never holds the password."""

from __future__ import annotations

import re
from typing import Any, Self

import psycopg
from psycopg import conninfo

from rowvec.errors import NotConfigured

_SCHEME = re.compile(r"^postgresql(\+\w+)?://")
_LINK = {
    "connect_timeout": "5",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "rowvec-ledger",
}
"""So that a server which is gone without a word is noticed; the address goes before it."""


class Address:
    """libpq's own: `postgresql://user:password@host:5432/database?sslmode=require`, or several hosts."""

    def __init__(self, url: str) -> None:
        """Raises NotConfigured for what is no such address."""
        self._link = _LINK | _parts_of(url)
        _refuse_torn(self._link)

    def __str__(self) -> str:
        host, port = self._link.get("host", "localhost"), self._link.get("port", "5432")
        return f"postgresql://{host}:{port}/{self._link.get('dbname', '')}"

    def connect(self) -> psycopg.Connection[Any]:
        """A new connection, on which whoever uses it begins and ends transactions."""
        return psycopg.connect(autocommit=True, cursor_factory=_LastAnswer, **self._link)


class _LastAnswer(psycopg.Cursor[Any]):
    """Of several statements in one message the last one's answer counts."""

    def execute(self, *query: Any, **options: Any) -> Self:
        super().execute(*query, **options)
        while self.nextset():
            pass
        return self


def _parts_of(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo.conninfo_to_dict(_SCHEME.sub("postgresql://", url)))
    except psycopg.ProgrammingError:
        pass
    raise NotConfigured(
        "LEDGER_URL is no address of PostgreSQL: postgresql://user:password@host:5432/database. Signs in "
        "user and password that are neither letters nor digits are written as %40 (@), %2F (/), %25 (%)."
    )


def _refuse_torn(link: dict[str, Any]) -> None:
    """A password with a bare `@` or `/` spills over into what is shown."""
    if "@" in f"{link.get('host')}{link.get('dbname')}" or not re.fullmatch("[0-9,]*", link.get("port", "")):
        raise NotConfigured(
            "The user or the password in LEDGER_URL has a bare @, / or :. Write them as %40, %2F and %3A."
        )
