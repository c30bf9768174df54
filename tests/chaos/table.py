"""A table of short texts with everything in it that a chunk can get wrong, and what must become of it.

The expectation is not computed with the product's reader: each good record is parsed alone, by the
standard library, and the last one of an id wins.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from functools import cached_property

HEADER = b"id,title,body\n"
TEMPLATE = "{title}: {body}"

SUBJECTS = ("Printer", "Invoice", "Login", "Größe", "Refund", "Café order", "Delivery", "Password")
VERBS = (
    "is missing",
    "arrived twice",
    "cannot be opened",
    'shows "error 17"',
    "was charged again",
    "is late",
)
PLACES = ("in Zürich", "on the phone", "since Monday", "for a customer", "after the update", "at the desk")

UNCLOSED, SHORT, NOT_UTF8, EMPTY_ID = "unclosed", "short", "not-utf-8", "empty-id"
BAD = (UNCLOSED, SHORT, NOT_UTF8, EMPTY_ID)


@dataclass(frozen=True, slots=True)
class Record:
    """One row as it stands in the file. `bad` names what is wrong with it, empty when nothing is."""

    number: int
    data: bytes
    bad: str = ""

    def fields(self) -> tuple[str, str, str]:
        """Id, title and body, read by the standard library from this record's bytes alone."""
        (row,) = csv.reader([self.data.decode()], strict=True)
        identity, title, body = row
        return identity, title, body


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be stored under an id: the row that stands last in the file."""

    row_number: int
    text: str


@dataclass(frozen=True)
class Table:
    """`rows` rows, blank lines between some of them; the same seed gives the same bytes."""

    records: tuple[Record, ...]
    data: bytes

    @cached_property
    def expected(self) -> dict[str, Expected]:
        """By id."""
        winners: dict[str, Expected] = {}
        for record in self.good:
            identity, title, body = record.fields()
            winners[identity] = Expected(record.number, f"{title}: {body}")
        return winners

    @cached_property
    def good(self) -> list[Record]:
        return [record for record in self.records if not record.bad]

    @cached_property
    def bad(self) -> dict[int, Record]:
        """By row number."""
        return {record.number: record for record in self.records if record.bad}

    @property
    def doubles(self) -> int:
        """Good rows that lose their id to a later row."""
        return len(self.good) - len(self.expected)


def make_table(rows: int, seed: int, doubled: float = 0.01, bad: int = 12) -> Table:
    """A share `doubled` of the rows repeats an id, half from near, half from anywhere."""
    chance = random.Random(seed)
    wrong = dict(zip(sorted(chance.sample(range(2, rows), bad)), _kinds(bad), strict=True))
    records: list[Record] = []
    pieces = [HEADER]
    for number in range(1, rows + 1):
        record = _record(number, wrong.get(number, ""), _identity(number, doubled, chance), chance)
        records.append(record)
        pieces.append(record.data + b"\n")
        if chance.random() < 0.001:
            pieces.append(b"\n")
    return Table(tuple(records), b"".join(pieces))


def _kinds(bad: int) -> list[str]:
    return [BAD[place % len(BAD)] for place in range(bad)]


def _identity(number: int, doubled: float, chance: random.Random) -> str:
    if number > 1 and chance.random() < doubled:
        nearest = max(1, number - 20) if chance.random() < 0.5 else 1
        number = chance.randrange(nearest, number)
    return f"ticket-{number:07d}"


def _record(number: int, bad: str, identity: str, chance: random.Random) -> Record:
    title = f"{chance.choice(SUBJECTS)} {number}"
    said = [f"{chance.choice(SUBJECTS)} {chance.choice(VERBS)} {chance.choice(PLACES)}" for _ in range(3)]
    body = "; ".join(said) if chance.random() < 0.5 else ".\n".join(said)
    whole = f"{identity},{title},{_quoted(body)}".encode()
    wrong = {
        UNCLOSED: f'{identity},{title},"It began and never'.encode(),
        SHORT: f"{identity},{title}".encode(),
        NOT_UTF8: f"{identity},{title},".encode() + b"caf\xe9 and \xff",
        EMPTY_ID: f",{title},Nobody knows which".encode(),
    }
    return Record(number, wrong.get(bad, whole), bad)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if '"' in text or "\n" in text else text
