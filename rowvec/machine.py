"""The parts that work together, chosen by settings and put in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rowvec import embedders, filestores, ledgers, sources, vectorstores
from rowvec.backends import load, scheme
from rowvec.budget import Budget
from rowvec.disk import Disk
from rowvec.embedders.base import Embedder
from rowvec.embedding import Job
from rowvec.errors import NotConfigured
from rowvec.filestores.base import FileStore
from rowvec.gates import Gates
from rowvec.governor import Governor
from rowvec.in_flight import InFlight
from rowvec.kept import Kept
from rowvec.ledgers.base import Ledger
from rowvec.rates import Rates
from rowvec.redaction import Redactor
from rowvec.remembered import Remembered
from rowvec.sources.base import Source
from rowvec.vectorstores.base import VectorStore


@dataclass(frozen=True, slots=True)
class Limits:
    """The machine's own numbers: rows a chunk, bytes a record, seconds a silent worker is believed alive,
    bytes that a compressed source may unpack to, the share of the first rows that may be rejected before a
    person is asked, bytes that stay free on the disk, days that uploads are kept (0: for ever)."""

    chunk_size: int = 1000
    max_record_bytes: int = 16 * 1024 * 1024
    lease_seconds: float = 60.0
    max_decompressed_bytes: int = 100 * 1024**3
    rejected_share: float = 0.5
    min_free_bytes: int = 1024**3
    upload_days: int = 30


@dataclass(frozen=True, slots=True)
class Machine:
    """One backend for each role. `embedder_name` is the name the settings gave it.

    `tolerated` are tasks whose rejected rows need no further look, as far as this process knows.
    """

    ledger: Ledger
    files: FileStore
    store: VectorStore
    embedder: Embedder
    embedder_name: str
    settings: Mapping[str, str]
    limits: Limits = Limits()
    governor: Governor = field(default_factory=Governor)
    gates: Gates = field(default_factory=Gates)
    in_flight: InFlight = field(default_factory=InFlight)
    kept: Kept[Job] = field(default_factory=Kept)
    disk: Disk = field(default_factory=Disk)
    redact: Redactor = field(default_factory=Redactor)
    tolerated: Remembered = field(default_factory=Remembered)
    _sources: dict[str, Source] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def open(cls, settings: Mapping[str, str], limits: Limits) -> Machine:
        """Open every part named by `LEDGER_URL`, `FILE_STORE_URL`, `VECTOR_STORE_URL` and `EMBEDDER`.

        Cheap: nothing is read or called until used. Raises NotConfigured.
        """

        def part(role: str, table: Mapping[str, Any], setting: str) -> Any:
            return load(role, table, scheme(settings[setting]))

        embedder: Embedder = part("embedder", embedders.TABLE, "EMBEDDER").open(settings)
        return cls(
            ledger=part("ledger", ledgers.TABLE, "LEDGER_URL").open(settings["LEDGER_URL"], settings),
            files=part("file store", filestores.TABLE, "FILE_STORE_URL").open(
                settings["FILE_STORE_URL"], settings
            ),
            store=part("vector store", vectorstores.TABLE, "VECTOR_STORE_URL").open(
                settings["VECTOR_STORE_URL"], settings
            ),
            embedder=embedder,
            embedder_name=settings["EMBEDDER"],
            settings=settings,
            limits=limits,
            governor=_governor(embedder, settings),
            redact=Redactor.of(settings),
            disk=Disk(Path(settings.get("DATA_DIR", ".")), limits.min_free_bytes),
        )

    def source(self, kind: str) -> Source:
        """The source of that kind, opened once. Raises NotConfigured where this service has none."""
        if kind in self._sources:
            return self._sources[kind]
        if kind not in sources.TABLE and ":" not in kind:
            raise NotConfigured(
                f"The source '{kind}' is not configured on this service. "
                f"Configured here: {', '.join(sorted(sources.TABLE))}."
            )
        backend: type[Source] = load("source", sources.TABLE, kind)
        return self._sources.setdefault(kind, backend.open(self.settings, self.files))

    async def warm_up(self) -> None:
        """Have the parts load what their first calls would: a second or two of computing."""
        await self.store.warm_up()
        await self.embedder.warm_up()

    async def close(self) -> None:
        await self.store.close()
        await self.embedder.close()
        await self.governor.close()
        await self.ledger.close()


def _governor(embedder: Embedder, settings: Mapping[str, str]) -> Governor:
    """With a BROKER_URL the budget is shared by all processes that have the same; else it is this one's."""
    rates, url = embedder.rates, settings.get("BROKER_URL")
    budget: Budget | None = None
    if url and (rates != Rates() or embedder.tells_rates):
        from rowvec.shared_budget import SharedBudget

        budget = SharedBudget(url, embedder.model, rates)
    return Governor(rates.requests_per_second, rates.tokens_per_minute, embedder.tells_rates, budget)
