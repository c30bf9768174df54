"""A fleet: an API host, hosts that work, and one for Redis and PostgreSQL, each a host of its own.

What a fleet does not run itself (S3, OpenAI, Pinecone) stands in on the machine of the tests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from standins.process import started
from tests.acceptance.production import (
    INDEXES,
    OPENAI_KEY,
    CeleryWorker,
    Production,
    begun,
    parts_of,
)
from tests.acceptance.service import Service
from tests.chaos.production.history import History
from tests.infrastructure.hosts import Network, network
from tests.servers import moto, postgres, redis

WORKING = ("worker-one", "worker-two")


class Stubborn(CeleryWorker):
    """Believes in what it holds, whatever happens."""

    def _program(self) -> list[str]:
        return ["tests.infrastructure.stubborn", *super()._program()[1:]]


@dataclass(frozen=True)
class Fleet:
    """All of it, as one production; workers are named like their hosts."""

    whole: Production
    net: Network
    history: History
    ledger: str

    def is_alive(self, host: str) -> bool:
        """Does the ledger take a worker of that host for alive?"""
        return any(worker.startswith(host) for (worker,) in self._asked("SELECT id FROM workers"))

    def at_work(self, host: str) -> set[int]:
        """Numbers of the chunks that workers of that host hold now."""
        held = self._asked("SELECT number, worker FROM chunks WHERE state = 'claimed'")
        return {number for number, worker in held if worker.startswith(host)}

    def _asked(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.ledger) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def fleet(folder: Path, stubborn: Collection[str] = (), **settings: str) -> Iterator[Fleet]:
    """Ready to work; ended whole, whatever happens in the block. Hosts that work may be stubborn."""
    for name in ("redis", "moto"):
        (folder / name).mkdir()
    with ExitStack() as ending:
        net = ending.enter_context(network())
        data = net.add("data")
        broker = ending.enter_context(redis.running(folder / "redis", data))
        ledger = ending.enter_context(postgres.running(data))
        files = ending.enter_context(moto.running(folder / "moto", net.address))
        openai = ending.enter_context(started("openai", net.address, key=OPENAI_KEY))
        pinecone = ending.enter_context(started("pinecone", net.address, indexes=INDEXES, keep_vectors=0))
        bucket = files.new_bucket()
        parts = parts_of(openai, pinecone, files, bucket) | settings
        shared = {"BROKER_URL": broker.url, "LEDGER_URL": ledger.url}
        service = ending.enter_context(Service(folder / "whole", net.add("api"), **parts, **shared))
        workers = [
            (Stubborn if name in stubborn else CeleryWorker)(service, name, place=net.add(name))
            for name in WORKING
        ]
        for worker in workers:
            ending.callback(worker.kill)
        ending.callback(net.close)  # before all that waits for what runs on its hosts
        whole = begun(Production(service, workers, openai, pinecone, files, bucket))
        history = History(ledger.url)
        history.begin()
        yield Fleet(whole, net, history, ledger.url)
