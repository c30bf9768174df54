"""Machines that are broken on purpose: a proof that does not catch them proves nothing."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from rowvec import landing, lease, reader, settle
from rowvec.fields import lines_of
from rowvec.lease import Lease, SharedCheck
from rowvec.ledgers.books import rules
from rowvec.ledgers.books.rules import Entry
from rowvec.model import Chunk, Counts
from rowvec.records import Frames, frame
from rowvec.storing import Stored, store
from rowvec.sweeper import Sweeper


@contextmanager
def commit_before_the_store() -> Iterator[None]:
    """A chunk is committed while the store is still writing."""
    under_way: set[asyncio.Task[Stored]] = set()

    async def begun(*arguments: Any) -> Stored:
        under_way.add(asyncio.create_task(store(*arguments)))
        return Stored()

    with patch.object(landing, "store", begun):
        yield


@contextmanager
def no_fence() -> Iterator[None]:
    """Whoever ever held a chunk may commit it."""

    def is_claimed(chunk: Chunk | None, fence: int) -> bool:
        return chunk is not None and chunk.fence >= fence

    with patch.object(rules, "is_claimed", is_claimed):
        yield


@contextmanager
def sweeper_off() -> Iterator[None]:
    """Nobody takes back what dead workers held."""

    async def round(self: Sweeper) -> int:
        return 0

    with patch.object(Sweeper, "round", round):
        yield


@contextmanager
def finish_without_counting() -> Iterator[None]:
    """A chunk is done, and its rows are not counted."""

    def count_done(entry: Entry, counts: Counts, now: float) -> Entry:
        return entry.evolve(chunks_done=entry.task.chunks_done + 1, progressed_at=now)

    with patch.object(rules, "count_done", count_done):
        yield


@contextmanager
def lenient_csv() -> Iterator[None]:
    """Quotes that do not fit are taken as they come. The framing judges them first and the csv module again,
    strictly; one of the two alone is enough, so both look away."""

    def framed(*arguments: Any) -> Frames:
        return replace(frame(*arguments), bad={})

    def parse(text: str, delimiter: str, max_field: int) -> Iterator[list[str]]:
        return csv.reader(lines_of(text), delimiter=delimiter, strict=False)

    with patch.object(reader, "frame", framed), patch.object(reader, "parse", parse):
        yield


@contextmanager
def no_settling() -> Iterator[None]:
    """Of doubled ids, whoever wrote last wins."""

    async def nothing(*arguments: Any) -> None:
        return

    with patch.object(settle, "_settle_doubles", nothing):
        yield


@contextmanager
def no_lease_check() -> Iterator[None]:
    """A worker writes into the store although its chunk is another's by now."""

    async def check(self: Lease | SharedCheck) -> float:
        return 60.0

    with patch.object(lease.Lease, "check", check), patch.object(lease.SharedCheck, "check", check):
        yield


VARIANTS = (
    commit_before_the_store,
    no_fence,
    sweeper_off,
    finish_without_counting,
    lenient_csv,
    no_settling,
    no_lease_check,
)
