"""The production stack, every part a process: Redis, PostgreSQL, Celery, and the providers' stand-ins."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.service import SERVE, Api, answering, serving, start, stop, wait_for_workers
from standins.pinecone.settings import KEY
from standins.process import Standin, started
from tests.servers import postgres, redis

OPENAI_KEY = "sk-standin"
INDEX = "measured"
NAMESPACE = "default"
DIMENSION = 1536
NOTHING_MORE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Production:
    """`workers` are the ids of all processes that work."""

    api: Api
    workers: list[int]
    openai: Standin
    pinecone: Standin

    def landed(self) -> int:
        """Vectors in the index."""
        asked = {"index": INDEX, "namespace": NAMESPACE}
        return int(self.pinecone.ask("/_standin/summary", asked)["vectors"])


@contextmanager
def producing(
    folder: Path,
    tables: Path,
    hosts: int,
    openai: Mapping[str, Any],
    pinecone: Mapping[str, Any],
    settings: Mapping[str, str] = NOTHING_MORE,
) -> Iterator[Production]:
    """The stack with so many Celery workers of one process each, as on so many hosts, until the block ends.

    `openai` and `pinecone` are settings of the stand-ins, `settings` those of the service.
    """
    with (
        providers(openai, pinecone) as (embedder, store, theirs),
        servers(folder) as beneath,
        working(folder, tables, {**beneath, **theirs, **settings}, hosts) as (api, workers),
    ):
        yield Production(api, workers, embedder, store)


@contextmanager
def embedding(
    folder: Path,
    tables: Path,
    openai: Mapping[str, Any],
    pinecone: Mapping[str, Any],
    settings: Mapping[str, str] = NOTHING_MORE,
) -> Iterator[Production]:
    """The same providers behind the service with its embedded worker and its ledger in SQLite."""
    with ExitStack() as stack:
        embedder, store, theirs = stack.enter_context(providers(openai, pinecone))
        service = stack.enter_context(serving(folder, tables, theirs | dict(settings)))
        yield Production(service, [service.worker], embedder, store)


@contextmanager
def providers(
    openai: Mapping[str, Any], pinecone: Mapping[str, Any]
) -> Iterator[tuple[Standin, Standin, dict[str, str]]]:
    """Stand-ins of OpenAI and Pinecone, and the settings of a service that uses them."""
    index = {"name": INDEX, "dimension": DIMENSION}
    with started("openai", **openai) as embedder, started("pinecone", indexes=[index], **pinecone) as store:
        yield embedder, store, parts(embedder, store)


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """Redis and PostgreSQL until the block ends; the settings that lead to them."""
    (folder / "redis").mkdir(parents=True)
    with postgres.running() as ledger, redis.running(folder / "redis") as broker:
        yield {"BROKER_URL": broker.url, "LEDGER_URL": ledger.url}


def parts(openai: Standin, pinecone: Standin) -> dict[str, str]:
    """The settings that lead to the stand-ins."""
    return {
        "EMBEDDER": "openai",
        "OPENAI_API_KEY": OPENAI_KEY,
        "OPENAI_BASE_URL": f"{openai.url}/v1",
        "VECTOR_STORE_URL": f"pinecone://{INDEX}",
        "PINECONE_API_KEY": KEY,
        "PINECONE_CONTROLLER_HOST": pinecone.url,
    }


@contextmanager
def working(
    folder: Path,
    tables: Path,
    settings: Mapping[str, str],
    hosts: int = 1,
    processes: int = 1,
    command: Sequence[str] = SERVE,
) -> Iterator[tuple[Api, list[int]]]:
    """The API and a Celery worker of so many processes on each host; the ids of all these processes."""
    with ExitStack() as stack:
        chosen = {**settings, "MAX_WORKERS": str(processes)}
        api = stack.enter_context(answering(folder, tables, chosen, command))
        programs = [stack.enter_context(_celery(api, folder, f"host{n}")) for n in range(hosts)]
        wait_for_workers(api, hosts * processes)
        yield api, [member.pid for program in programs for member in (program, *program.children())]


@contextmanager
def _celery(api: Api, folder: Path, name: str) -> Iterator[psutil.Process]:
    """A Celery worker of that name, until the block ends."""
    command = [sys.executable, "-m", "celery", "-A", "app.workers.celery_app", "worker", "--hostname", name]
    process = start(command, folder, folder / f"{name}.log", api.environment)
    try:
        yield psutil.Process(process.pid)
    finally:
        stop(process)
