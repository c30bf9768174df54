"""Looks behind a ledger in DynamoDB: does everything it keeps to find its way agree with its chunks?"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from rowvec.ledgers.dynamodb import DynamoLedger
from rowvec.ledgers.dynamodb.chunks import sleeps, stored_of
from rowvec.ledgers.dynamodb.keys import TASKS, piece_of
from rowvec.ledgers.dynamodb.record import Record
from rowvec.ledgers.dynamodb.table import Item, Table, unpacked
from rowvec.ledgers.dynamodb.tasks import about_of, list_item, record_of
from rowvec.model import ChunkState


def items_of(table: Table) -> list[Item]:
    """Everything in the table."""
    pages = table.ask(
        lambda client: client.get_paginator("scan").paginate(TableName=table.name).search("Items")
    )
    return [unpacked(item) for item in pages]


def audit(ledger: DynamoLedger) -> None:
    """Counts, lists, marks of what workers hold, and the unended tasks of each spec."""
    kinds: dict[str, list[Item]] = defaultdict(list)
    for item in items_of(ledger._table):
        kinds[kind_of(item)].append(item)
    abouts = {item["pk"]: about_of(item) for item in kinds["about"]}
    records = {item["pk"]: record_of(item, abouts[item["pk"]]) for item in kinds["task"]}
    assert_counts(records, kinds["chunk"])
    assert by_sort_key(kinds[TASKS]) == by_sort_key([in_list(record) for record in records.values()])
    assert_holdings(records, kinds)
    assert_unended(records, kinds["same"])


def kind_of(item: Item) -> str:
    """`task`, `about`, `chunk`, `child` within a task; else the beginning of the partition."""
    within = item["pk"].startswith("task#")
    return str(item["sk" if within else "pk"]).partition("#")[0]


def by_sort_key(items: list[Item]) -> list[Item]:
    return sorted(items, key=lambda item: str(item["sk"]))


def in_list(record: Record) -> Item:
    return {name: value for name, value in list_item(record).items() if value is not None}


def assert_counts(records: dict[str, Record], chunks: list[Item]) -> None:
    found: dict[str, dict[str, int]] = {pk: {"claimed": 0, "open": 0, "asleep": 0} for pk in records}
    for item in chunks:
        stored = stored_of(item, records[item["pk"]])
        found[item["pk"]]["claimed"] += stored.chunk.state is ChunkState.CLAIMED
        found[item["pk"]]["open"] += stored.chunk.state is ChunkState.READY
        found[item["pk"]]["asleep"] += sleeps(stored.place)
        if stored.chunk.state is ChunkState.READY:
            assert records[item["pk"]].due <= stored.chunk.not_before
    for pk, record in records.items():
        assert {name: getattr(record, name) for name in found[pk]} == found[pk]


def assert_holdings(records: dict[str, Record], kinds: dict[str, list[Item]]) -> None:
    marked = {(item["pk"].partition("#")[2], *piece_of(item["sk"])) for item in kinds["worker"]}
    planned = {(r.entry.task.worker, r.entry.task.id, None) for r in records.values() if r.entry.task.worker}
    claimed: set[Any] = {
        (item["worker"], item["pk"].partition("#")[2], item["number"])
        for item in kinds["chunk"]
        if "worker" in item
    }
    assert marked == planned | claimed
    assert {worker for worker, _, _ in marked} <= {item["sk"] for item in kinds["workers"]}


def assert_unended(records: dict[str, Record], same: list[Item]) -> None:
    kept = {place.partition(":")[2] for item in same for place in item["tasks"].split()}
    assert kept == {r.entry.task.id for r in records.values() if not r.entry.task.state.ended}
