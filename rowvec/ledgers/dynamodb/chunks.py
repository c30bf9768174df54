"""The way of a chunk into its item and back, and the place where it is kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from rowvec.ledgers.dynamodb.keys import chunk_key, counts_of, instant, kept, keyed, ordinal, short
from rowvec.ledgers.dynamodb.record import Record
from rowvec.ledgers.dynamodb.table import Item
from rowvec.model import Chunk, ChunkFiles, ChunkState, PlannedChunk

_PLAN = tuple(field.name for field in fields(PlannedChunk))
_CHANGING = (
    *("attempts", "crashes", "fence", "worker", "not_before"),
    *("last_worker", "started_at", "ended_at"),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk as it is in effect, the place where it is kept, and the number of its last write."""

    chunk: Chunk
    place: str
    rev: int


READY, WAIT, CLAIMED, DONE, FAILED = "ready", "wait", "claimed", "done", "failed"


def place_of(chunk: Chunk, record: Record, now: float) -> str:
    """Where a chunk is kept: by what can be done with it, then by its number."""
    number = ordinal(chunk.plan.number)
    if chunk.state is ChunkState.READY and chunk.not_before > now:
        return f"{waits(record, chunk.not_before)}#{number}"
    if chunk.state is ChunkState.FAILED:
        return f"{failures(record.retries)}#{number}"
    return f"{chunk.state.value}#{number}"


def waits(record: Record, until: float) -> str:
    """Sorts after the places of all chunks which waited for an earlier time, or for one before a resume."""
    return f"{WAIT}#{ordinal(record.resumes)}#{instant(until)}"


def failures(retries: int) -> str:
    """Sorts after the places of all chunks which failed before that many retries."""
    return f"{FAILED}#{ordinal(retries)}"


def sleeps(place: str) -> bool:
    return place.partition("#")[0] in (WAIT, FAILED)


def chunk_item(chunk: Chunk, place: str, resumes: int, rev: int) -> Item:
    values = {
        **{name: getattr(chunk, name) for name in _CHANGING},
        **chunk.counts.as_dict(),
        "error": short(chunk.error),
        "manifest": chunk.files.manifest,
        "rejected_file": chunk.files.rejected,
        "resumes": resumes if chunk.not_before else 0,
        "rev": rev,
    }
    key = chunk_key(chunk.task_id, chunk.plan.number)
    return keyed(key, by_state=place, **asdict(chunk.plan), **kept(values))


def stored_of(item: Item, record: Record) -> Stored:
    """What an earlier resume or retry has ended is not in effect any more."""
    place, rev = item["by_state"], item.get("rev", 0)
    task_id = record.entry.task.id
    plan = PlannedChunk(**{name: item[name] for name in _PLAN})
    if place.startswith(f"{FAILED}#") and place < failures(record.retries):
        return Stored(Chunk(task_id, plan, fence=item.get("fence", 0)), place, rev)
    waited = item.get("resumes", 0) < record.resumes
    chunk = Chunk(
        task_id,
        plan,
        state=_state_at(place),
        attempts=item.get("attempts", 0),
        crashes=item.get("crashes", 0),
        fence=item.get("fence", 0),
        worker=item.get("worker"),
        not_before=0.0 if waited else float(item.get("not_before", 0)),
        error=item.get("error"),
        counts=counts_of(item),
        files=ChunkFiles(item.get("manifest"), item.get("rejected_file")),
        last_worker=item.get("last_worker"),
        started_at=_time(item, "started_at"),
        ended_at=_time(item, "ended_at"),
    )
    return Stored(chunk, place, rev)


def _time(item: Item, name: str) -> float | None:
    return float(item[name]) if name in item else None


def _state_at(place: str) -> ChunkState:
    kind = place.partition("#")[0]
    return ChunkState.READY if kind == WAIT else ChunkState(kind)
