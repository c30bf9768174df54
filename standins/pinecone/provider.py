"""The stand-in as one: its indexes, its weather, and what its desk tells of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from standins.pinecone import control
from standins.pinecone.documents import DocumentsDoor
from standins.pinecone.index import Index
from standins.pinecone.refusals import Refused
from standins.pinecone.rest import VectorsDoor
from standins.pinecone.settings import Settings
from standins.pinecone.weather import Weather
from standins.web import Answer, Request


class Pinecone:
    """`hosts` holds the address of each index; `on_change` is called when there are others."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.weather = Weather(settings)
        self.indexes = {spec.name: Index(spec, settings) for spec in settings.indexes}
        self.hosts: dict[str, str] = {}
        self.on_change: Callable[[], None] = lambda: None

    def apply(self, settings: Settings) -> None:
        """Indexes that stay as they were keep what they hold; buckets are full again."""
        self.weather.apply(settings)
        self.settings = settings
        kept: dict[str, Index] = {}
        for spec in settings.indexes:
            index = self.indexes.pop(spec.name, None)
            if index is None or index.spec != spec:
                if index is not None:
                    index.close()
                index = Index(spec, settings)
            index.settings = settings
            kept[spec.name] = index
        for gone in self.indexes.values():
            gone.close()
        self.indexes = kept
        self.on_change()

    def reset(self) -> None:
        """Empty indexes, no counts, full buckets."""
        for index in self.indexes.values():
            index.close()
        self.indexes = {spec.name: Index(spec, self.settings) for spec in self.settings.indexes}
        self.weather = Weather(self.settings)

    def counters(self) -> dict[str, Any]:
        return dict(sorted(self.weather.counters.items()))

    @property
    def inquiries(self) -> Mapping[str, Callable[[Any], Any]]:
        """What landed in `{"index": …, "namespace": …}` (the first index where none is named).

        `summary`: vectors there are, how many were written (each as often as it was), one digest of all.
        `landed`: each id with the digests of its vector and of its metadata.
        """
        return {"summary": self._summary, "landed": self._landed}

    async def handle(self, request: Request) -> Answer:
        """The control plane alone; `answer` knows which index a data plane belongs to."""
        return await self.answer(next(iter(self.indexes)), request)

    async def answer(self, name: str, request: Request) -> Answer:
        """As the data plane of this index, and the control plane."""
        if request.path == "/indexes" or request.path.startswith("/indexes/"):
            return self._described(request)
        door = DocumentsDoor if "/documents/" in request.path else VectorsDoor
        return await door(self.indexes[name], self.weather).handle(request)

    def data_plane(self, name: str) -> tuple[Index, Weather]:
        return self.indexes[name], self.weather

    def _described(self, request: Request) -> Answer:
        self.weather.counters["describe_index"] += 1
        try:
            self.weather.authenticate(request.headers.get("api-key", ""))
        except Refused as refused:
            return refused.of_documents()
        specs = {name: index.spec for name, index in self.indexes.items()}
        return control.handle(request, specs, self.hosts, self.settings.lenient)

    def _summary(self, document: Any) -> Any:
        index, namespace = self._asked(document)
        held = index.namespaces.get(namespace)
        return {
            "vectors": sum(1 for _ in index.landed(namespace)),
            "upserted": 0 if held is None else held.upserted,
            "digest": f"{index.digest_of(namespace):016x}",
        }

    def _landed(self, document: Any) -> Any:
        index, namespace = self._asked(document)
        return {
            id_: [record.vector_digest.hex(), record.metadata_digest.hex()]
            for id_, record in index.landed(namespace)
        }

    def _asked(self, document: Any) -> tuple[Index, str]:
        """The index and namespace that are meant. Raises ValueError for an index that is not there."""
        name = document.get("index") or next(iter(self.indexes))
        if name not in self.indexes:
            raise ValueError(f"there is no index '{name}'")
        return self.indexes[name], document.get("namespace", "")
