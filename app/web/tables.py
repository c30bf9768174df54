"""Tables that are there already, to choose from."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from app.api.service import Service
from app.callers import Caller
from rowvec.errors import RowvecError
from rowvec.sources.base import ListedSource

MOST = 200
PATIENCE_SECONDS = 3.0
SAMPLE = Path(__file__).resolve().parents[2] / "test_data" / "csv_files" / "sample.csv"


@dataclass(frozen=True, slots=True)
class Tables:
    """`place` says in words where they are; `trouble` why none can be told."""

    place: str
    names: list[str]
    trouble: str = ""

    @property
    def are_more(self) -> bool:
        return len(self.names) >= MOST


async def tables_of(the: Service, caller: Caller) -> Tables | None:
    """What `s3_csv` can be for this caller, None where its key reads nothing of it."""
    if the.settings.reads_local_files:
        kind, place = "local", "the service's folder"
    else:
        kind, place = "s3", f"the bucket {the.settings.s3_bucket}"
    source = the.machine.source(kind)
    if not isinstance(source, ListedSource):
        return None
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            names = await source.names(MOST)
    except RowvecError as error:
        return Tables(place, [], the.machine.redact(error.message))
    except TimeoutError:
        return Tables(place, [], "It did not answer in time. Type the name of the table instead.")
    allowed = [name for name in names if caller.grants.takes_source("s3_csv", name)]
    return Tables(place, allowed) if allowed or not caller.grants.sources else None


def sample() -> bytes | None:
    """A small table to start with, where this installation has it."""
    return SAMPLE.read_bytes() if SAMPLE.is_file() else None
