"""`python -m tests.contracts.previous_worker LEDGER FOLDER`: a worker of the version before the last shape.

Its tables have not the columns of that step, its rows are made and read without them, and it knows of no
paused provider. It opens the ledger while that is of its own shape, and works on while others bring it to
theirs; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import select

from rowvec.ledgers.sql import book, held, register, rows, shape, tables
from rowvec.machine import Limits, Machine
from rowvec.worker import Worker

SHAPE = "0004"
UNKNOWN: dict[str, dict[str, Any]] = {
    "chunk": dict.fromkeys(("last_worker", "started_at", "ended_at")),
    "worker": {"usage": {}},
}


def opened(ledger: str, folder: Path) -> Machine:
    """Rows of the folder's files, with the embedder and the index that take no account of versions."""
    settings = {
        "LEDGER_URL": ledger, "FILE_STORE_URL": f"file://{folder}/files", "EMBEDDER": "memory",
        "VECTOR_STORE_URL": f"lancedb://{folder}/vectors", "LOCAL_FILES_DIR": str(folder),
        "DATA_DIR": str(folder),
    }  # fmt: skip
    return Machine.open(settings, Limits(10, 1 << 20, 20.0, min_free_bytes=0))


def go_back() -> None:
    """To the tables as they were, in every place that has taken something from them already."""
    modules: tuple[Any, ...] = (rows, book, held)
    for kind, unknown in UNKNOWN.items():
        table = tables.metadata.tables[f"{kind}s"]
        for column in unknown:
            table._columns.remove(table.c[column])
        make, read = getattr(rows, f"{kind}_row"), getattr(rows, f"{kind}_of")
        for module in modules:
            setattr(module, f"{kind}_row", _without(make, unknown))
            setattr(module, f"{kind}_of", _with(read, unknown))
    changed: Any = book
    changed._CHUNKS, changed._WORKERS = select(tables.chunks), select(tables.workers)
    no_pauses: Any = register.SqlRegister
    no_pauses.pauses = lambda _: []
    shape.TODAY = SHAPE


def _without(make: Any, unknown: dict[str, Any]) -> Any:
    return lambda value: {name: cell for name, cell in make(value).items() if name not in unknown}


def _with(read: Any, unknown: dict[str, Any]) -> Any:
    return lambda row: read(dict(row) | unknown)


async def main(ledger: str, folder: Path) -> None:
    machine = opened(ledger, folder)
    await machine.ledger.ready()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    await Worker(machine, poll=0.01).run(stop)
    await machine.close()


if __name__ == "__main__":
    go_back()
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
