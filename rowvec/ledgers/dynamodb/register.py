"""What a ledger in DynamoDB keeps beside tasks: namespaces, API keys, what accounts have used, pauses."""

from __future__ import annotations

import json

from rowvec.api_key import ApiKey
from rowvec.ledgers.books.book import Book, Drawn, Filling
from rowvec.ledgers.dynamodb.draft import ABSENT, Draft
from rowvec.ledgers.dynamodb.keys import ACCOUNTS, ANY_KEY, KEYS, NAMESPACES, PAUSES, TALLY, keyed
from rowvec.ledgers.dynamodb.people import key_item, key_of
from rowvec.ledgers.dynamodb.table import Action, Item, Table, delete, put
from rowvec.model import ProviderPause
from rowvec.tally import Tally


class DynamoRegister(Book):
    def __init__(self, table: Table, draft: Draft) -> None:
        self.now = draft.now
        self._table = table
        self._draft = draft
        self._no_key_seen = False

    def filling(self, namespace: str) -> Filling | None:
        item = self._draft.item((NAMESPACES, namespace))
        return None if item is None else Filling(item["model"], item["dimension"])

    def fill(self, namespace: str, filling: Filling) -> None:
        item = keyed((NAMESPACES, namespace), model=filling.model, dimension=filling.dimension)
        self._draft.also(put(item, ABSENT))

    def key(self, key_id: str) -> ApiKey | None:
        item = self._draft.item((KEYS, key_id))
        return None if item is None else key_of(item)

    def keys(self) -> list[ApiKey]:
        keys = [key_of(item) for item in self._table.query(KEYS)]
        self._no_key_seen = not keys
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    def put_key(self, key: ApiKey) -> None:
        """A new key leaves a trace, so that of several which saw none only one is the first. One that is
        changed is still as it was read: a revocation is never written over."""
        there = self._draft.item((KEYS, key.id))
        if there is not None:
            self._draft.also(_again(key_item(key), there))
            return
        trace = put(keyed(ANY_KEY), ABSENT) if self._no_key_seen else put(keyed(ANY_KEY))
        self._draft.also(put(key_item(key), ABSENT), trace)

    # What accounts have used

    def drawn(self, account: str) -> Drawn | None:
        item = self._draft.item((ACCOUNTS, account))
        return None if item is None else Drawn(item["period"], item["used"])

    def put_drawn(self, account: str, drawn: Drawn) -> None:
        there = self._draft.item((ACCOUNTS, account))
        item = keyed((ACCOUNTS, account), period=drawn.period, used=drawn.used)
        self._draft.also(put(item, ABSENT) if there is None else _again(item, there))

    # What workers did that have left

    def departed(self) -> Tally:
        item = self._draft.item(TALLY)
        return Tally() if item is None else Tally.of(json.loads(item["tally"]))

    def put_departed(self, tally: Tally) -> None:
        there = self._draft.item(TALLY)
        item = keyed(TALLY, tally=json.dumps(tally.as_dict()))
        self._draft.also(put(item, ABSENT) if there is None else _again(item, there))

    # Providers

    def drop_drawn(self, account: str) -> None:
        self._draft.also(delete((ACCOUNTS, account)))

    def pauses(self) -> list[ProviderPause]:
        items = self._table.query(PAUSES)
        return [ProviderPause(item["sk"], float(item["since"]), item["reason"]) for item in items]

    def put_pause(self, pause: ProviderPause) -> None:
        item = keyed((PAUSES, pause.provider), since=pause.since, reason=pause.reason)
        self._draft.also(put(item, ABSENT))

    def drop_pause(self, provider: str) -> None:
        self._draft.also(delete((PAUSES, provider)))


def _again(item: Item, there: Item) -> Action:
    """Instead of what is there, on condition that it is still there."""
    rev = there.get("rev", 0)
    return put(item | {"rev": rev + 1}, ("rev", "=", rev) if rev else ("rev", "absent", None))
