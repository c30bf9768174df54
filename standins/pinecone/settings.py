"""How the stand-in behaves: everything a test may change while it runs."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from standins.latency import Latency

KEY = "pcsk_standin"
"""The API key it takes when no others are set."""

RATES = {
    "upsert": 100.0,
    "upsert bytes": 50e6,
    "query": 100.0,
    "delete": 100.0,
    "delete records": 5_000.0,
    "delete by filter": 5.0,
    "update": 100.0,
    "fetch": 100.0,
    "list": 200.0,
    "describe_index_stats": 100.0,
}
"""Pinecone's documented limits a second: fetch, list and stats for an index, the others for a namespace."""

FAULTS = ("unavailable", "internal", "hang", "cut", "done-unavailable", "done-hang")
"""Kinds of faults; those that begin with `done` do the work first."""


class IndexSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An index. With `field` it is a document index whose dense vectors are in that field.

    `filterable` names the only metadata fields that filters see (None: all). `required` names string
    fields of a document index that Pinecone would embed, and that every document must have.
    """

    name: str
    dimension: Annotated[int, msgspec.Meta(ge=1, le=20_000)]
    metric: Literal["cosine", "dotproduct", "euclidean"] = "cosine"
    field: str | None = None
    filterable: tuple[str, ...] | None = None
    texts: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    ready: bool = True


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `docs/standins.md`.

    `rates` replaces Pinecone's limits by name (0: none); `unlimited` lifts all. `units_left` are monthly
    units, of which an upsert costs one a record. `refuse` marks records: one with it in its id or metadata
    fails its request, which does not say which. `visible_after` and `counted_after` are the seconds after
    which reads, and the stats, show a write. `keep_vectors` bounds the bytes of vectors that can be read
    again; beyond that only their digests stay. `lenient` takes over REST what names an older API version, or
    is larger than 2 MB as JSON.
    """

    indexes: tuple[IndexSpec, ...] = (IndexSpec("standin", 1536),)
    keys: tuple[str, ...] = (KEY,)
    account: Literal["good", "payment due", "storage full", "forbidden"] = "good"
    units_left: int | None = None
    rates: dict[str, float] = {}
    unlimited: bool = False
    latency: Latency = Latency()
    faults: dict[str, float] = {}
    script: list[str | None] = []
    faulty: tuple[str, ...] = ("upsert", "query", "fetch", "list", "delete", "describe_index_stats")
    refuse: str = ""
    visible_after: float = 0.0
    counted_after: float = 0.0
    lsn: Literal["request", "committed", "none"] = "request"
    lsn_on_fetch: bool = True
    lenient: bool = False
    keep_vectors: int = 1 << 30
    seed: int = 0

    def __post_init__(self) -> None:
        names = [index.name for index in self.indexes]
        if not names or len(set(names)) != len(names):
            raise ValueError("there is at least one index, and each has a name of its own")
        unknown = sorted(set(self.rates) - set(RATES))
        if unknown:
            raise ValueError(f"unknown rates {', '.join(unknown)}; there are {', '.join(RATES)}")
        if not (0 <= self.visible_after < math.inf and 0 <= self.counted_after < math.inf):
            raise ValueError("visible_after and counted_after are 0 seconds or more")

    def rate(self, name: str) -> float | None:
        """So many a second; None for no limit."""
        return None if self.unlimited else self.rates.get(name, RATES[name]) or None
