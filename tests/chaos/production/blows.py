"""What strikes the stack while it works: kills, losses, stops and storms, each at a moment of chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import psutil
import psycopg

from tests.acceptance.production import CeleryWorker, Production, until
from tests.chaos.production.history import History
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

PROCESS, PROGRAM, HOST = "pool process killed", "Celery killed", "worker of a lost host killed"
API, POSTGRES = "API killed", "PostgreSQL killed"
REDIS, FLUSH, STOP, STORM = "Redis killed, all lost", "FLUSHALL", "worker stopped past its lease", "429 storm"
KILLS = (PROCESS, PROGRAM, HOST, API, POSTGRES)
SHARES = {PROCESS: 0.44, PROGRAM: 0.18, HOST: 0.2, API: 0.12, POSTGRES: 0.06}
"""Of the kills."""
BESIDE = {REDIS: 5, FLUSH: 5, STOP: 6, STORM: 5}
"""Beside fifty kills and more."""

ELSEWHERE = "elsewhere"
"""How the names of the other hosts begin."""
SILENT_SECONDS = 0.7
"""For so long the file store does not answer before a worker is stopped: some of its chunks then have nothing
left to do but the commit, which comes late."""
HIT_WITHIN = 0.4
"""Seconds after work was seen in its hands, at most, in which a process is struck."""
STORM_SECONDS = 3.0
GONE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Blow:
    """`pid` is the process that held work, 0 where none did; `until` is when a stopped one went on, or
    PostgreSQL answered again."""

    kind: str
    at: float
    pid: int = 0
    until: float = 0.0


class Blows:
    """`files` is the process behind the file store, `lease` LEASE_SECONDS. What is struck is started again
    before a blow is over, but for a pool's process, which Celery replaces."""

    def __init__(
        self,
        whole: Production,
        redis: RedisServer,
        postgres: PostgresServer,
        history: History,
        files: psutil.Process,
        lease: float,
        chance: random.Random,
    ) -> None:
        self._whole = whole
        self._redis = redis
        self._postgres = postgres
        self._history = history
        self._files = files
        self._lease = lease
        self._chance = chance
        self._hosts = 0
        self._strike: dict[str, Callable[[], Blow]] = {
            PROCESS: self._kill_process,
            PROGRAM: lambda: self._kill_program(PROGRAM),
            HOST: lambda: self._kill_program(HOST),
            API: self._kill_api,
            POSTGRES: self._kill_postgres,
            REDIS: lambda: self._without_pid(REDIS, self._redis.lose),
            FLUSH: lambda: self._without_pid(FLUSH, self._redis.flush),
            STOP: self._stop_past_the_lease,
            STORM: lambda: self._without_pid(STORM, self._storm),
        }

    def strike(self, kind: str) -> Blow:
        return self._strike[kind]()

    def _kill_process(self) -> Blow:
        _, process = self._busy(lambda worker: not worker.host)
        blow = Blow(PROCESS, time.time(), process.pid)
        process.kill()
        process.wait(GONE_SECONDS)
        return blow

    def _kill_program(self, kind: str) -> Blow:
        """Celery and, with it, its pool. What comes back in place of a host has another name."""
        worker, process = self._busy(lambda worker: bool(worker.host) == (kind == HOST))
        blow = Blow(kind, time.time(), process.pid)
        worker.kill()
        if kind == HOST:
            self._hosts += 1
            worker.host = f"{ELSEWHERE}-{self._hosts}"
        worker.start()
        return blow

    def _kill_api(self) -> Blow:
        blow = Blow(API, time.time())
        self._whole.service.kill()
        self._whole.service.start()
        return blow

    def _kill_postgres(self) -> Blow:
        blow = Blow(POSTGRES, time.time())
        self._postgres.kill()
        self._postgres.start()
        return replace(blow, until=time.time())

    def _without_pid(self, kind: str, strike: Callable[[], None]) -> Blow:
        blow = Blow(kind, time.time())
        strike()
        return blow

    def _stop_past_the_lease(self) -> Blow:
        """It goes on once it holds nothing any more, with all in its hands that it held."""
        _, process = self._busy(lambda worker: True)
        self._files.suspend()
        try:
            time.sleep(SILENT_SECONDS)
            process.suspend()
            blow = Blow(STOP, time.time(), process.pid)
        finally:
            self._files.resume()
        try:
            until(lambda: self._holds_nothing(process.pid), "a stopped worker keeps its work")
            time.sleep(self._chance.uniform(0, self._lease))
        finally:
            process.resume()
        return replace(blow, until=time.time())

    def _storm(self) -> None:
        """Everybody is refused, but for a request now and then."""
        openai, pinecone = self._whole.openai, self._whole.pinecone
        usual = openai.ask("/_standin/settings")["requests_per_second"]
        openai.set(requests_per_second=1.0)
        pinecone.set(rates={"upsert": 1.0})
        time.sleep(STORM_SECONDS)
        openai.set(requests_per_second=usual)
        pinecone.set(rates={})

    def _busy(self, suits: Callable[[CeleryWorker], bool]) -> tuple[CeleryWorker, psutil.Process]:
        """A worker with a process of its pool that was seen with chunks in its hands a moment ago."""
        while True:
            found = until(lambda: self._seen_busy(suits), "no worker gets a chunk")
            time.sleep(self._chance.uniform(0, HIT_WITHIN))
            if found[1].is_running():
                return found

    def _seen_busy(self, suits: Callable[[CeleryWorker], bool]) -> tuple[CeleryWorker, psutil.Process] | None:
        workers = [worker for worker in self._whole.workers if suits(worker)]
        pools = [(worker, process) for worker in workers for process in worker.pool()]
        self._chance.shuffle(pools)
        with suppress(psycopg.OperationalError):
            busy = self._history.busy()
            return next((found for found in pools if found[1].pid in busy), None)
        return None

    def _holds_nothing(self, pid: int) -> bool:
        with suppress(psycopg.OperationalError):
            return pid not in self._history.busy()
        return False


def schedule(kills: int, chance: random.Random) -> list[str]:
    """So many kills, each kind at least once, and what comes beside them, in an order of chance."""
    kinds = list(KILLS)
    while len(kinds) < kills:
        kinds.append(max(KILLS, key=lambda kind: SHARES[kind] * kills - kinds.count(kind)))
    for kind, number in BESIDE.items():
        kinds += [kind] * max(1, min(number, number * kills // 50))
    chance.shuffle(kinds)
    return kinds
