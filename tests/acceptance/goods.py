"""A shop's table, and what Pinecone must hold for it, worked out without any code of the product."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from standins.openai import vector

MODEL, DIMENSION = "text-embedding-3-small", 1536
TEMPLATE = "{title}: {body}"
HEADER = ("id", "title", "body", "price", "shelf", "sold")
SAID = ('with a "lid"', "made of oak,\nand heavy", "für die Küche", "for the desk; small", "as good as new")

Landed = dict[str, list[str]]
"""By id: the digests of its vector and of its metadata, as the stand-in tells them."""


@dataclass(frozen=True, slots=True)
class Good:
    """One row that can be read, by its number in the file."""

    number: int
    cells: tuple[str, ...]

    @property
    def text(self) -> str:
        return TEMPLATE.format(title=self.cells[1], body=self.cells[2])

    def fields(self, task_id: str) -> dict[str, Any]:
        """Its own cells as they are typed, nothing for an empty one, and what the service adds."""
        id_, title, body, price, shelf, sold = self.cells
        own = {"id": id_, "title": title, "body": body, "shelf": shelf, "sold": sold == "true"}
        priced = {"price": float(price)} if price else {}
        ours = {"rowvec_task": task_id, "rowvec_row": float(self.number), "rowvec_text": self.text}
        return own | priced | ours


@dataclass(frozen=True)
class Goods:
    """`rows` there are in all; the last of an id counts. `bad` are those that cannot be read, by number."""

    data: bytes
    rows: int
    good: list[Good]
    bad: list[int]

    @cached_property
    def winners(self) -> dict[str, Good]:
        return {good.cells[0]: good for good in self.good}

    @property
    def losers(self) -> int:
        return len(self.good) - len(self.winners)

    @property
    def settled_again(self) -> list[int]:
        """Rows whose id stands for another row before them: settling writes one again that was overtaken."""
        times = Counter(good.cells[0] for good in self.good)
        return [good.number for id_, good in self.winners.items() if times[id_] > 1]

    def landed(self, task_id: str) -> Landed:
        """What the stand-in of Pinecone must tell of it."""
        return {
            id_: [_digest(_vector_of(good.text)), _digest(_canonical(good.fields(task_id)))]
            for id_, good in self.winners.items()
        }


def make_goods(rows: int, seed: int = 1, doubled: int = 0, bad: int = 0) -> Goods:
    """The same each time; no two texts alike. `doubled` rows repeat an earlier id, `bad` cannot be read."""
    dice = random.Random(seed)
    odd = dice.sample(range(2, rows + 1), doubled + bad)
    again, unreadable = set(odd[:doubled]), set(odd[doubled:])
    records = [_line(HEADER)]
    good = []
    for number in range(1, rows + 1):
        cells = _cells(number, dice.randrange(1, number) if number in again else number, dice)
        if number in unreadable:
            records.append(_broken(cells, number))
        else:
            records.append(_line(cells))
            good.append(Good(number, cells))
    return Goods(b"".join(records), rows, good, sorted(unreadable))


def wrong(found: Landed, expected: Landed) -> Iterator[str]:
    """What is in the index otherwise than it should be, in words, a few of each kind."""
    yield from _some("missing", expected.keys() - found.keys())
    yield from _some("not of this table", found.keys() - expected.keys())
    both = expected.keys() & found.keys()
    yield from _some("another's vector", {id_ for id_ in both if found[id_][0] != expected[id_][0]})
    yield from _some("other metadata", {id_ for id_ in both if found[id_][1] != expected[id_][1]})


def _some(what: str, ids: set[str]) -> Iterator[str]:
    if ids:
        yield f"{len(ids)} {what}: {', '.join(sorted(ids)[:5])}"


def _cells(number: int, named: int, dice: random.Random) -> tuple[str, ...]:
    price = "" if dice.random() < 0.1 else f"{dice.randrange(1, 500_000) / 100:.2f}"
    body = f"{dice.choice(SAID)}, {dice.choice(SAID)}"
    sold = dice.choice(("true", "false"))
    return f"good-{named:06d}", f"Item {number}", body, price, f"{dice.randrange(1_000):04d}", sold


def _line(cells: tuple[str, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _broken(cells: tuple[str, ...], number: int) -> bytes:
    """Cells that are missing, or bytes that are no UTF-8."""
    return _line(cells[:3]) if number % 2 else _line(cells).replace(b"Item", b"caf\xe9")


def _vector_of(text: str) -> bytes:
    return vector(MODEL, DIMENSION, text).astype("<f4").tobytes()


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()
