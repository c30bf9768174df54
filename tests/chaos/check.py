"""The promises, checked from outside: what LanceDB holds, and what the service says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lancedb

from tests.chaos.harness import NAMESPACE, Run
from tests.chaos.table import UNCLOSED, Expected, Record, Table

CODES = {
    "unclosed": ("unclosed-quote", "text-after-quote"),
    "short": ("too-few-fields",),
    "not-utf-8": ("not-utf8",),
    "empty-id": ("empty-id",),
}
SHARE = 0.02
"""Of the task, at most embedded again at one kill."""


def problems(run: Run) -> list[str]:
    """Every promise that was broken, in words; empty when all were kept."""
    return [
        *_of_the_end(run),
        *wrong_vectors(run.vectors, NAMESPACE, run.table.expected),
        *wrong_conservation(run.status["conservation"], run.table, run.duplicates),
        *wrong_rejections(run.rejected, run.table),
        *_of_the_cost(run),
    ]


def most_again(run: Run) -> int:
    """Rows that one kill may cost: two chunks, or the share of a large task."""
    return max(2 * run.setup.chunk_size, int(SHARE * len(run.table.records)))


def wrong_vectors(folder: Path, namespace: str, expected: Mapping[str, Expected]) -> Iterator[str]:
    """What LanceDB itself, asked without our code, holds otherwise than expected."""
    table = lancedb.connect(folder).open_table(namespace).to_arrow()
    columns = [table[name].to_pylist() for name in ("id", "row_number", "text")]
    ids = Counter(columns[0])
    found = {identity: Expected(number, text) for identity, number, text in zip(*columns, strict=True)}
    yield from _some("stored more than once", [identity for identity, times in ids.items() if times > 1])
    yield from _some("not stored", expected.keys() - found.keys())
    yield from _some("stored and not expected", found.keys() - expected.keys())
    both = expected.keys() & found.keys()
    yield from _some("stored with another row", [i for i in both if expected[i] != found[i]])
    empty = sum(vector is None or not any(vector) for vector in table["vector"].slice(0, 100).to_pylist())
    yield from _some("vectors are empty", range(empty))


def wrong_conservation(counts: Mapping[str, int], table: Table, listed_duplicates: int) -> Iterator[str]:
    """Where the counts of /status are not those of the table, or do not add up."""
    wanted = {
        "read": len(table.records),
        "upserted": len(table.expected),
        "duplicate": table.doubles,
        "rejected": len(table.bad),
        "unchanged": 0,
        "filtered": 0,
        "unprocessed": 0,
    }
    for name, number in wanted.items():
        if counts[name] != number:
            yield f"{name} is {counts[name]}, {number} expected"
    if counts["read"] != sum(counts[name] for name in wanted if name != "read"):
        yield f"the counts do not add up: {dict(counts)}"
    if listed_duplicates != table.doubles:
        yield f"{listed_duplicates} doubles are listed, {table.doubles} expected"


def wrong_rejections(listed: list[dict[str, Any]], table: Table) -> Iterator[str]:
    """Where the list of rejected rows is not exactly the bad records, each with code and content."""
    numbers = Counter(note["row"] for note in listed)
    yield from _some("rejected rows listed more than once", [n for n, times in numbers.items() if times > 1])
    yield from _some("bad rows not listed", table.bad.keys() - numbers.keys())
    yield from _some("good rows listed as rejected", numbers.keys() - table.bad.keys())
    for note in listed:
        record = table.bad.get(note["row"])
        if record and (note["code"] not in CODES[record.bad] or note["content"] != _shown(record)):
            yield f"row {record.number} is {record.data!r}, but listed as {note}"
        if not note["reason"]:
            yield f"row {note['row']} is rejected without a reason"


def _shown(record: Record) -> str:
    """The record as it stands in the file; bytes that are no UTF-8 are escaped."""
    return record.data.decode("utf-8", "backslashreplace")


def _of_the_end(run: Run) -> Iterator[str]:
    if run.status["status"] != "completed":
        yield f"the task is {run.status['status']}: {run.status['error']}"
    if len(run.kills) != run.setup.kills:
        yield f"{len(run.kills)} kills, {run.setup.kills} wanted"
    if not any(record.bad == UNCLOSED for record in run.table.bad.values()):
        yield "the table has no unclosed quote: give it more rows"


def _of_the_cost(run: Run) -> Iterator[str]:
    for life, kill in zip(run.lives, run.kills, strict=False):
        if life.again > life.in_flight:
            yield f"a kill {kill} cost {life.again} rows, {life.in_flight} were in flight"
        if life.again > most_again(run):
            yield f"a kill {kill} cost {life.again} rows, more than {most_again(run)}"
    total = sum(life.embedded for life in run.lives)
    again = sum(life.again for life in run.lives)
    if total - again != run.embedded_once:
        yield f"{total} rows embedded, {again} of them again, but chunks count {run.embedded_once}"
    if run.lives[-1].again:
        yield f"{run.lives[-1].again} rows were embedded in vain with no kill after"


def _some(what: str, which: Any) -> Iterator[str]:
    if which:
        yield f"{len(which)} {what}, among them {sorted(which)[:5]}"
