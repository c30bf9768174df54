"""Where vectors are stored and searched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence

from rowvec.vectors import Floats, Match, Stamp, VectorBatch


class VectorStore(ABC):
    """Vectors in namespaces, one per id.

    `max_batch` bounds the vectors, `max_batch_bytes` the bytes of one upsert; `max_metadata_bytes`
    bounds one vector's metadata as JSON. `in_flight` is how many chunks are worth having under way for its
    sake. `counts_exactly` says whether `count` is how many there are now. Namespaces match
    `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
    """

    max_batch: int
    max_batch_bytes: int
    max_metadata_bytes: int
    in_flight: int = 2
    counts_exactly: bool = True

    @classmethod
    @abstractmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> VectorStore:
        """A store at `url`, for example `lancedb:///var/lib/vectordb/vectors`; cheap."""

    @abstractmethod
    async def prepare(self, namespace: str, dimension: int) -> None:
        """Make the namespace ready for vectors of this dimension; idempotent, safe under races.

        Raises StoreMismatch if it holds another dimension: called before anything is spent.
        """

    async def check(self, dimension: int) -> None:  # noqa: ARG002 (most stores hold any)
        """Raises StoreMismatch where no namespace could hold vectors of this dimension, and what `ping`
        raises."""
        await self.ping()

    def sizes(self, batch: VectorBatch) -> list[int]:
        """Bytes of each vector in an upsert, at most: what batches are packed by."""
        values = 4 * batch.vectors.shape[1] + 256
        return [values + size for size in sizes_of_strings(batch)]

    @abstractmethod
    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        """Write the batch, replacing vectors of the same ids; durable on return.

        Each id is there once afterwards, whoever else writes it meanwhile. The namespace has been
        prepared. Raises InputRefused, RetryLater, PauseNeeded or StoreMismatch.
        """

    async def catch_up(self, namespace: str) -> None:  # noqa: ARG002 (most stores are never behind)
        """From now on reads see every upsert that any process has finished."""
        return

    @abstractmethod
    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        """Stamps of all vectors of these rows, passages included.

        Sees every upsert that this store has finished, and those that others had finished before the last
        `catch_up`. Unknown ids give nothing, as does an unknown namespace. Order is not promised.
        """

    @abstractmethod
    async def all_stamps(self, namespace: str) -> list[Stamp]:
        """Stamps of every vector of the namespace."""

    async def of_task(self, namespace: str, task_id: str) -> AsyncIterator[Sequence[Stamp]]:
        """Stamps of all vectors that this task wrote last, in portions that fit into memory.

        Sees what `stamps` sees. A store of many vectors has a better way than this one.
        """
        yield [stamp for stamp in await self.all_stamps(namespace) if stamp.task_id == task_id]

    @abstractmethod
    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        """Remove vectors by id; unknown ids are no error."""

    @abstractmethod
    async def delete_task(self, namespace: str, task_id: str) -> int:
        """Remove every vector stamped with this task; returns how many there were."""

    @abstractmethod
    async def count(self, namespace: str) -> int:
        """Vectors in the namespace; 0 for an unknown one."""

    async def holds_others(self, namespace: str, task_id: str, own: int) -> bool:  # noqa: ARG002
        """Are there vectors beside the `own` ones that this task has written? In doubt, yes."""
        return await self.count(namespace) != own

    @abstractmethod
    async def search(self, namespace: str, vector: Floats, limit: int) -> list[Match]:
        """The `limit` nearest by cosine, nearest first; none for an unknown namespace."""

    @abstractmethod
    async def ping(self) -> None:
        """Raises Unavailable or CredentialsRefused, in words, when it does not answer."""

    async def warm_up(self) -> None:
        """Load what the first call would load, where that takes long. Nothing is asked of a server."""
        return

    async def close(self) -> None:
        """Finish what is queued and let go of connections."""
        return


def sizes_of_strings(batch: VectorBatch) -> list[int]:
    """Bytes in UTF-8 of each vector's ids, text and metadata, at most."""
    columns = zip(batch.ids, batch.row_ids, batch.texts, batch.metadata, strict=True)
    return [
        8 * len(metadata) + _utf8("".join((id_, row_id, text, *metadata, *map(str, metadata.values()))))
        for id_, row_id, text, metadata in columns
    ]


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
