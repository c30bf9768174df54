"""Where one run takes place: a table, a folder of its own, and the stand-ins of OpenAI and Pinecone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.production import DIMENSION, INDEX, NAMESPACE, OPENAI_KEY, parts
from benchmarks.table import write_table
from standins.pinecone.settings import KEY
from standins.process import Standin, started

WORDS = 120
"""Of a row: some 830 characters, 208 tokens. All rows differ."""

PINECONE: dict[str, Any] = {"latency": {"mean": 0.05, "sigma": 0.5}, "rates": {"upsert bytes": 0}}
"""Under Pinecone's limits but the one of bytes a second, for it is not said how JSON counts, which most peers
send."""

TRIAL = "ping"
"""What ours has embedded once at each start."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What the index holds: `vectors`, and of how many rows they are. No two rows have the same vector."""

    vectors: int
    rows: int

    @property
    def doubled(self) -> int:
        return self.vectors - self.rows


@dataclass(frozen=True, slots=True)
class Scene:
    """`folder` belongs to this run alone."""

    folder: Path
    table: Path
    rows: int
    openai: Standin
    pinecone: Standin

    def ours(self) -> dict[str, str]:
        """Settings of ours; all that is not named here is at its default."""
        return parts(self.openai, self.pinecone)

    def others(self) -> dict[str, str]:
        """The environment variables of a peer, which the official libraries read, too."""
        return {
            "OPENAI_API_KEY": OPENAI_KEY,
            "OPENAI_BASE_URL": f"{self.openai.url}/v1",
            "OPENAI_API_BASE": f"{self.openai.url}/v1",
            "PINECONE_API_KEY": KEY,
            "PINECONE_CONTROLLER_HOST": self.pinecone.url,
            "PINECONE_INDEX": INDEX,
            "PINECONE_NAMESPACE": NAMESPACE,
        }

    def billed(self) -> int:
        """Texts that were paid for until now."""
        return int(self.openai.counters()["texts_billed"])

    def paid_twice(self) -> int:
        """Payments for rows beyond one a row, without the text by which ours tries the model at a start."""
        (trials,) = self.openai.ask("/_standin/billed", {"texts": [TRIAL]})
        return int(self.openai.counters()["texts_paid_twice"]) - max(0, int(trials) - 1)

    def landed(self) -> Landed:
        held = self.pinecone.ask("/_standin/landed", {"index": INDEX, "namespace": NAMESPACE})
        return Landed(len(held), len({vector for vector, _ in held.values()}))


@contextmanager
def scene(
    folder: Path, table: Path, rows: int, openai: Mapping[str, Any], pinecone: Mapping[str, Any]
) -> Iterator[Scene]:
    """Fresh stand-ins with these settings until the block ends."""
    folder.mkdir(parents=True)
    index = {"name": INDEX, "dimension": DIMENSION}
    with (
        started("openai", **openai) as embedder,
        started("pinecone", indexes=[index], lenient=True, **pinecone) as store,
    ):
        yield Scene(folder, table, rows, embedder, store)


def table_of(folder: Path, rows: int) -> Path:
    """The first so many rows that every run is about, in a folder of their own."""
    path = folder / f"tables-{rows}" / "rows.csv"
    if not path.exists():
        path.parent.mkdir(parents=True)
        write_table(path, rows, words=WORDS, different=rows)
    return path
