"""The promises, checked from outside: what LanceDB holds, and what the service says of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lancedb
import numpy as np

from rowvec import embedders
from rowvec.backends import load
from tests.chaos.harness import NAMESPACE, Run
from tests.chaos.table import UNCLOSED, Expected, Record, Table
from tests.simulation.problem import Kind, Problem, some

CODES = {
    "unclosed": ("unclosed-quote", "text-after-quote"),
    "short": ("too-few-fields",),
    "not-utf-8": ("not-utf8",),
    "empty-id": ("empty-id",),
}
NEAR = 1e-5
"""So far may a number be off: texts are added up in another order in another company."""
AT_ONCE = 1_000
COUNTED = ("upserted", "unchanged", "filtered", "duplicate", "rejected", "unprocessed")
"""What becomes of the rows that were read."""
SHARE = 0.02
"""Of the task, at most embedded again at one kill."""


def problems(run: Run) -> list[Problem]:
    """Every promise that was broken; empty when all were kept."""
    return [
        *_of_the_end(run),
        *wrong_vectors(run.vectors, NAMESPACE, run.table.expected),
        *other_vectors(run.vectors, NAMESPACE, run.setup.embedder),
        *wrong_conservation(run.status["conservation"], run.table, run.duplicates),
        *wrong_rejections(run.rejected, run.table),
        *_of_the_cost(run),
    ]


def most_again(run: Run) -> int:
    """Rows that one kill may cost: two chunks, or the share of a large task."""
    return max(2 * run.setup.chunk_size, int(SHARE * len(run.table.records)))


def wrong_vectors(folder: Path, namespace: str, expected: Mapping[str, Expected]) -> Iterator[Problem]:
    """What LanceDB itself, asked without our code, holds otherwise than expected."""
    table = lancedb.connect(folder).open_table(namespace).to_arrow()
    columns = [table[name].to_pylist() for name in ("id", "row_number", "text")]
    ids = Counter(columns[0])
    found = {identity: Expected(number, text) for identity, number, text in zip(*columns, strict=True)}
    twice = [identity for identity, times in ids.items() if times > 1]
    yield from some(Kind.DOUBLED, "stored more than once", twice)
    yield from some(Kind.LOST, "not stored", expected.keys() - found.keys())
    yield from some(Kind.DOUBLED, "stored and not expected", found.keys() - expected.keys())
    both = expected.keys() & found.keys()
    yield from some(Kind.WRONG, "stored with another row", [i for i in both if expected[i] != found[i]])
    empty = sum(vector is None or not any(vector) for vector in table["vector"].slice(0, 100).to_pylist())
    yield from some(Kind.WRONG, "vectors are empty", range(empty))


def other_vectors(folder: Path, namespace: str, embedder: str) -> list[Problem]:
    """Rows whose vector is not what this embedder gives for the text beside it."""
    table = lancedb.connect(folder).open_table(namespace).to_arrow()
    asked = load("embedder", embedders.TABLE, embedder).open({})
    other: list[str] = []
    for part in table.to_batches(max_chunksize=AT_ONCE):
        stored = np.stack(part["vector"].to_numpy(zero_copy_only=False))
        right = asyncio.run(asked.embed(part["text"].to_pylist())).vectors
        far = np.abs(stored - right).max(axis=1) > NEAR
        other += [identity for identity, away in zip(part["id"].to_pylist(), far, strict=True) if away]
    return some(Kind.WRONG, "have another text's vector", other)


def other_counts(
    counts: Mapping[str, int], read: int, upserted: int, duplicate: int, rejected: int
) -> Iterator[Problem]:
    """Where the counts of /status are not these; nothing is unchanged, filtered or open."""
    wanted = dict.fromkeys(COUNTED, 0) | {
        "read": read,
        "upserted": upserted,
        "duplicate": duplicate,
        "rejected": rejected,
    }
    for name, number in wanted.items():
        if counts[name] != number:
            yield Problem(Kind.WRONG, f"{name} is {counts[name]}, {number} expected")


def wrong_conservation(counts: Mapping[str, int], table: Table, listed_duplicates: int) -> Iterator[Problem]:
    """Where the counts of /status are not those of the table, or do not add up."""
    yield from other_counts(counts, len(table.records), len(table.expected), table.doubles, len(table.bad))
    if counts["read"] != sum(counts[name] for name in COUNTED):
        yield Problem(Kind.WRONG, f"the counts do not add up: {dict(counts)}")
    if listed_duplicates != table.doubles:
        yield Problem(Kind.WRONG, f"{listed_duplicates} doubles are listed, {table.doubles} expected")


def wrong_rejections(listed: list[dict[str, Any]], table: Table) -> Iterator[Problem]:
    """Where the list of rejected rows is not exactly the bad records, each with code and content."""
    numbers = Counter(note["row"] for note in listed)
    twice = [number for number, times in numbers.items() if times > 1]
    yield from some(Kind.DOUBLED, "rejected rows listed more than once", twice)
    yield from some(Kind.LOST, "bad rows not listed", table.bad.keys() - numbers.keys())
    yield from some(Kind.WRONG, "good rows listed as rejected", numbers.keys() - table.bad.keys())
    for note in listed:
        record = table.bad.get(note["row"])
        if record and (note["code"] not in CODES[record.bad] or note["content"] != _shown(record)):
            yield Problem(Kind.WRONG, f"row {record.number} is {record.data!r}, but listed as {note}")
        if not note["reason"]:
            yield Problem(Kind.WRONG, f"row {note['row']} is rejected without a reason")


def _shown(record: Record) -> str:
    """The record as it stands in the file; bytes that are no UTF-8 are escaped."""
    return record.data.decode("utf-8", "backslashreplace")


def _of_the_end(run: Run) -> Iterator[Problem]:
    if run.status["status"] != "completed":
        yield Problem(Kind.OTHER, f"the task is {run.status['status']}: {run.status['error']}")
    if len(run.kills) != run.setup.kills:
        yield Problem(Kind.OTHER, f"{len(run.kills)} kills, {run.setup.kills} wanted")
    if not any(record.bad == UNCLOSED for record in run.table.bad.values()):
        yield Problem(Kind.OTHER, "the table has no unclosed quote: give it more rows")


def _of_the_cost(run: Run) -> Iterator[Problem]:
    for life, kill in zip(run.lives, run.kills, strict=False):
        if life.again > life.in_flight:
            yield Problem(Kind.PAID, f"a kill {kill} cost {life.again} rows, {life.in_flight} were in flight")
        if life.again > most_again(run):
            yield Problem(Kind.PAID, f"a kill {kill} cost {life.again} rows, more than {most_again(run)}")
    total = sum(life.embedded for life in run.lives)
    again = sum(life.again for life in run.lives)
    if total - again != run.embedded_once:
        yield Problem(
            Kind.PAID, f"{total} rows embedded, {again} of them again, but chunks count {run.embedded_once}"
        )
    if run.lives[-1].again:
        yield Problem(Kind.PAID, f"{run.lives[-1].again} rows were embedded in vain with no kill after")
