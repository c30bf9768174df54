"""What a SQL ledger keeps beside tasks: namespaces, API keys, what accounts have used, paused providers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from rowvec.api_key import ApiKey
from rowvec.ledgers.books.book import Book, Drawn, Filling
from rowvec.ledgers.sql.rows import key_of, key_row, pause_of
from rowvec.ledgers.sql.tables import accounts, api_keys, namespaces, provider_pauses, tallies
from rowvec.model import ProviderPause
from rowvec.tally import Tally

_DEPARTED = "departed"
# Made once, as those of tasks and chunks are (statements.py).
_FILLING = select(namespaces).where(namespaces.c.name == bindparam("wanted"))
_KEY = select(api_keys).where(api_keys.c.id == bindparam("wanted"))
_DRAWN = select(accounts).where(accounts.c.id == bindparam("wanted"))
_PAUSES = select(provider_pauses).order_by(provider_pauses.c.provider)


class SqlRegister(Book):
    def __init__(self, connection: Connection, now: float) -> None:
        self.now = now
        self._connection = connection

    def filling(self, namespace: str) -> Filling | None:
        row = self._connection.execute(_FILLING, {"wanted": namespace}).mappings().first()
        return None if row is None else Filling(row["model"], row["dimension"])

    def fill(self, namespace: str, filling: Filling) -> None:
        row = {"name": namespace, "model": filling.model, "dimension": filling.dimension}
        self._connection.execute(insert(namespaces).values(row))

    def key(self, key_id: str) -> ApiKey | None:
        row = self._connection.execute(_KEY, {"wanted": key_id}).mappings().first()
        return None if row is None else key_of(row)

    def keys(self) -> list[ApiKey]:
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        return [key_of(row) for row in self._connection.execute(query).mappings()]

    def put_key(self, key: ApiKey) -> None:
        self._replace(api_keys, key_row(key))

    def drawn(self, account: str) -> Drawn | None:
        row = self._connection.execute(_DRAWN, {"wanted": account}).mappings().first()
        return None if row is None else Drawn(row["period"], row["used"])

    def put_drawn(self, account: str, drawn: Drawn) -> None:
        self._replace(accounts, {"id": account, "period": drawn.period, "used": drawn.used})

    def drop_drawn(self, account: str) -> None:
        self._connection.execute(delete(accounts).where(accounts.c.id == account))

    def pauses(self) -> list[ProviderPause]:
        return [pause_of(row) for row in self._connection.execute(_PAUSES).mappings()]

    def put_pause(self, pause: ProviderPause) -> None:
        self._connection.execute(insert(provider_pauses).values(asdict(pause)))

    def drop_pause(self, provider: str) -> None:
        self._connection.execute(delete(provider_pauses).where(provider_pauses.c.provider == provider))

    def departed(self) -> Tally:
        query = select(tallies.c.tally).where(tallies.c.id == _DEPARTED)
        return Tally.of(self._connection.execute(query).scalar_one_or_none() or {})

    def put_departed(self, tally: Tally) -> None:
        self._replace(tallies, {"id": _DEPARTED, "tally": tally.as_dict()})

    def _replace(self, table: Table, row: Mapping[str, Any]) -> None:
        """Update the row of that id, or insert it: portable, and no race within a write."""
        done = self._connection.execute(update(table).where(table.c.id == row["id"]).values(row))
        if done.rowcount == 0:
            self._connection.execute(insert(table).values(row))
