"""The tables of a run, and what must become of each row."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from rowvec.embedders.memory import MemoryEmbedder
from rowvec.intake import TaskRequest
from rowvec.spec import Verify
from rowvec.storing import vector_ids
from rowvec.text import passages
from tests.chaos.table import TEMPLATE, Table, make_table

FITS, SPLIT = 8_192, 32
"""Tokens of the longest text: of any, or of a passage, so that some rows have one and some have two."""


@dataclass(frozen=True)
class Goods:
    """A table and how it is sent in. Rows whose number is in `refused` the provider, or the store, will not
    take: `poison` are their marks."""

    table: Table
    upload: str
    namespace: str
    chunk_size: int
    zipped: bool
    max_tokens: int
    refused: frozenset[int]

    @property
    def data(self) -> bytes:
        return gzip.compress(self.table.data, mtime=0) if self.zipped else self.table.data

    @property
    def request(self) -> TaskRequest:
        return TaskRequest(
            "upload",
            self.upload,
            self.namespace,
            self.chunk_size,
            id_column="id",
            text_template=TEMPLATE,
            metadata_columns=["title"],
            verify=self.verify,
        )

    @property
    def verify(self) -> Verify:
        """Each table in another way than the one before it, but for chance."""
        return list(Verify)[len(self.table.records) % 3]

    @cached_property
    def poison(self) -> list[str]:
        """The first passage of each of those rows, which names its number."""
        return [self.texts[number][0] for number in sorted(self.refused)]

    @cached_property
    def texts(self) -> Mapping[int, list[str]]:
        """What is embedded of each good row."""
        count = MemoryEmbedder(1).count_tokens
        return {
            number: passages(text, self.max_tokens, count)
            for number, (_, text) in self._good.items()
        }  # fmt: skip

    @cached_property
    def winners(self) -> Mapping[str, int]:
        """By id the last row that has it, of those that are not refused."""
        return {identity: n for n, (identity, _) in self._good.items() if n not in self.refused}

    @property
    def doubled_winners(self) -> list[int]:
        """Rows that win an id which another row has, too."""
        times = Counter(identity for identity, _ in self._good.values())
        return [number for identity, number in self.winners.items() if times[identity] > 1]

    @cached_property
    def vectors(self) -> Mapping[str, tuple[int, str]]:
        """By id, row number and text of all that must be stored in the end."""
        return {
            vector_id: (number, text)
            for identity, number in self.winners.items()
            for vector_id, text in zip(
                vector_ids(identity, len(self.texts[number])), self.texts[number], strict=True
            )
        }

    @cached_property
    def _good(self) -> Mapping[int, tuple[str, str]]:
        found = {}
        for record in self.table.good:
            identity, title, body = record.fields()
            found[record.number] = (identity, f"{title}: {body}")
        return found


def drawn(chance: random.Random, namespace: str, max_tokens: int) -> Goods:
    """A table of a few dozen rows in tiny chunks, many of them doubled, some bad, some refused."""
    rows = chance.randint(8, 36)
    table = make_table(rows, chance.randrange(1 << 30), chance.choice((0.0, 0.1, 0.4)), chance.randint(0, 4))
    good = [record.number for record in table.good]
    refused = chance.sample(good, min(len(good), chance.choice((0, 0, 1, 3))))
    return Goods(
        table,
        f"{chance.getrandbits(128):032x}",
        namespace,
        chance.choice((2, 3, 4, 5)),
        chance.random() < 0.25,
        max_tokens,
        frozenset(refused),
    )
