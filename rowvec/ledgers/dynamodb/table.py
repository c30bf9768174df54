"""One table of DynamoDB: items read consistently, and written all together or not at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowvec.errors import RateLimited
from rowvec.ledgers.dynamodb.words import in_words

Item = dict[str, Any]
"""Attributes as plain values: text, whole numbers, floats, booleans, bytes. None is not stored."""

Key = tuple[str, str]
"""Partition and sort key."""

Test = tuple[str, str, Any]
"""What must hold of an item for it to be written: attribute, `=` or `>` or `absent`, value."""

LAST = "\uffff"
"""Sorts after every key of ours."""

_MOST_KEYS = 100
_TRIES = 6


@dataclass(frozen=True, slots=True)
class Action:
    """One write of a transaction: `kind` as DynamoDB names it, and its arguments."""

    kind: str
    body: Mapping[str, Any]


def put(item: Item, *tests: Test) -> Action:
    return Action("Put", {"Item": packed(item), **_condition(tests)})


def delete(key: Key, *tests: Test) -> Action:
    return Action("Delete", {"Key": _key(key), **_condition(tests)})


def add(key: Key, numbers: Mapping[str, int], moments: Mapping[str, float], *tests: Test) -> Action:
    """Add to these numbers of an item, and set these times of it."""
    condition = _condition(tests)
    changes = {**numbers, **moments}
    names = {f"#a{n}": name for n, name in enumerate(changes)}
    values = {f":a{n}": _packed(value) for n, value in enumerate(changes.values())}
    added = ", ".join(f"#a{n} :a{n}" for n in range(len(numbers)))
    moved = ", ".join(f"#a{n} = :a{n}" for n in range(len(numbers), len(changes)))
    return Action(
        "Update",
        {
            "Key": _key(key),
            "UpdateExpression": f"ADD {added}" + (f" SET {moved}" if moved else ""),
            **condition,
            "ExpressionAttributeNames": names | condition.get("ExpressionAttributeNames", {}),
            "ExpressionAttributeValues": values | condition.get("ExpressionAttributeValues", {}),
        },
    )


class Table:
    """Blocks; safe to share between threads. Its errors are those of `words`."""

    def __init__(self, name: str, region: str, connect: Callable[[], Any]) -> None:
        self.name = name
        self.region = region
        self._connect = connect
        self._opening = threading.Lock()
        self._opened: Any = None

    def ask(self, call: Callable[[Any], Any]) -> Any:
        """Whatever the client can do, with its errors in words."""
        with in_words(self.name, self.region):
            return call(self._client())

    def _client(self) -> Any:
        with self._opening:
            if self._opened is None:
                self._opened = self._connect()
            return self._opened

    def close(self) -> None:
        with self._opening:
            if self._opened is not None:
                self._opened.close()

    # Reading

    def get(self, key: Key) -> Item | None:
        return self.get_all([key]).get(key)

    def get_all(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those that are there."""
        if len(keys) == 1:
            return self._get_one(keys[0])
        found: dict[Key, Item] = {}
        for at in range(0, len(keys), _MOST_KEYS):
            found |= self._get_some(list(dict.fromkeys(keys[at : at + _MOST_KEYS])))
        return found

    def _get_one(self, key: Key) -> dict[Key, Item]:
        answer = self.ask(
            lambda client: client.get_item(TableName=self.name, Key=_key(key), ConsistentRead=True)
        )
        return {key: unpacked(answer["Item"])} if "Item" in answer else {}

    def _get_some(self, keys: Sequence[Key]) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        wanted: Any = {self.name: {"Keys": [_key(key) for key in keys], "ConsistentRead": True}}
        for again in range(_TRIES):
            answer = self._batch(wanted)
            items = map(unpacked, answer["Responses"].get(self.name, ()))
            found |= {(item["pk"], item["sk"]): item for item in items}
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return found
            time.sleep(0.05 * 2**again)
        raise RateLimited(f"The ledger's table '{self.name}' answers less than it is asked. Try again later.")

    def _batch(self, wanted: Any) -> Any:
        return self.ask(lambda client: client.batch_get_item(RequestItems=wanted))

    def query(
        self,
        partition: str,
        low: str = "",
        high: str = LAST,
        index: str | None = None,
        newest: bool = False,
        page: int | None = None,
        until: tuple[str, float] | None = None,
        positive: str = "",
    ) -> Iterator[Item]:
        """Items of a partition whose sort key (or that of `index`) is within low and high, in order.

        Read page by page, as far as they are asked for; `until` drops those whose number of that name is
        above that value, `positive` those whose number of that name is 0 or is not there.
        """
        if low > high:
            return
        names = {"#p": "pk", "#s": index or "sk"}
        values: Item = {":p": partition, ":l": low or " ", ":h": high}
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "#p = :p AND #s BETWEEN :l AND :h",
            "ConsistentRead": True,
            "ScanIndexForward": not newest,
        }
        if index:
            request["IndexName"] = index
        if page:
            request["Limit"] = page
        if until:
            names["#u"], values[":u"] = until
            request["FilterExpression"] = "#u <= :u"
        if positive:
            names["#o"], values[":o"] = positive, 0
            request["FilterExpression"] = "#o > :o"
        request |= {"ExpressionAttributeNames": names, "ExpressionAttributeValues": packed(values)}
        while True:
            answer = self.ask(lambda client: client.query(**request))
            yield from map(unpacked, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # Writing

    def write(self, actions: Sequence[Action]) -> None:
        """All of them or none. Raises Conflict when a test does not hold."""
        if len(actions) == 1:
            self._write_one(actions[0])
        elif actions:
            items = [{action.kind: {"TableName": self.name, **action.body}} for action in actions]
            self.ask(lambda client: client.transact_write_items(TransactItems=items))

    def _write_one(self, action: Action) -> None:
        """Costs half of what a transaction does."""
        method = {"Put": "put_item", "Delete": "delete_item", "Update": "update_item"}[action.kind]
        self.ask(lambda client: getattr(client, method)(TableName=self.name, **action.body))

    def next_number(self, key: Key) -> int:
        """One more than ever before; numbers may be left out."""
        action = add(key, {"number": 1}, {})
        answer = self.ask(
            lambda client: client.update_item(TableName=self.name, ReturnValues="UPDATED_NEW", **action.body)
        )
        return int(unpacked(answer["Attributes"])["number"])


def _key(key: Key) -> Item:
    return packed({"pk": key[0], "sk": key[1]})


def _condition(tests: Sequence[Test]) -> dict[str, Any]:
    if not tests:
        return {}
    parts, values = [], {}
    for n, (_, operator, value) in enumerate(tests):
        if operator == "absent":
            parts.append(f"attribute_not_exists(#t{n})")
        else:
            parts.append(f"#t{n} {operator} :t{n}")
            values[f":t{n}"] = _packed(value)
    names = {f"#t{n}": name for n, (name, _, _) in enumerate(tests)}
    said = {"ConditionExpression": " AND ".join(parts), "ExpressionAttributeNames": names}
    return said | ({"ExpressionAttributeValues": values} if values else {})


def packed(item: Item) -> dict[str, dict[str, Any]]:
    """As DynamoDB takes it. Its numbers are decimal text, in which every float has its exact place."""
    return {name: _packed(value) for name, value in item.items() if value is not None}


def _packed(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    return {"B" if isinstance(value, bytes) else "S": value}


def unpacked(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: _unpacked(*next(iter(value.items()))) for name, value in item.items()}


def _unpacked(kind: str, value: Any) -> Any:
    if kind != "N":
        return value
    return float(value) if set(value) & set(".eE") else int(value)
