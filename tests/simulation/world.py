"""A world of a few processes, their services and their callers, as one seed makes it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rowvec.errors import RetryLater
from rowvec.housekeeping import housekeeping
from rowvec.ledgers.base import Ledger
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.memory import MemoryBook
from rowvec.machine import Limits, Machine
from rowvec.retry import RetryPolicy
from rowvec.uploads import upload_name
from rowvec.vectorstores.memory import MemoryStore
from rowvec.worker import Worker
from tests.simulation.faults import Dice, Rates
from tests.simulation.goods import FITS, SPLIT, Goods, drawn
from tests.simulation.law import Law
from tests.simulation.ledgers import UNHEARD_OF, WiredMemoryLedger, WiredSqlLedger
from tests.simulation.loop import SeededLoop
from tests.simulation.parts import Provider, WiredEmbedder, WiredFiles, WiredStore
from tests.simulation.payments import Payments
from tests.simulation.problem import Kind, Problem
from tests.simulation.process import NOBODY, Life, ProcessTable
from tests.simulation.trace import Trace
from tests.simulation.wire import Wire

EPOCH = 1_700_000_000.0
LEASE = 6.0
LONGEST_STOP = 5 * LEASE
"""Seconds: enough for all the rest to be done without that process."""
MOST_CRASHES = 12
SQLITE_EVERY = 20
"""Each so manyth seed has SQLite for its ledger, the others the memory."""


@dataclass
class Worked:
    """A process with a worker in it."""

    life: Life
    worker: Worker
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class World:
    """Everything that outlives a process, and the hand of fate."""

    def __init__(self, seed: int, folder: Path, rates: Rates | None = None) -> None:
        self.seed = seed
        self.chance = self.stream("world")
        self.loop = SeededLoop(self.stream("order"), self._step)
        self.trace = Trace(self.loop.time)
        self.dice = Dice(rates or Rates.drawn(self.stream("rates")), self.stream("faults"))
        self.broken: list[Problem] = []
        self.wire = Wire(self.dice, self.stream("wire"), self.trace, self.broken)
        self.rounds = self._goods()
        self.goods = [goods for round_ in self.rounds for goods in round_]
        self.provider = Provider(self._poison(0))
        self.store = MemoryStore()
        self.files = {upload_name(goods.upload): goods.data for goods in self.goods}
        self.processes = ProcessTable()
        self.payments = Payments()
        self.working: dict[int, Worked] = {}
        self.law = Law(self.broken)
        self.crashes = 0
        self.closing = False
        self._jumped = 0.0
        self.lives: list[Life] = []
        self.opened: list[WiredSqlLedger] = []
        self._writes = 0
        self._same_pids = self.chance.random() < 0.5
        self._book = None if seed % SQLITE_EVERY == 0 else MemoryBook()
        self._database = folder / "ledger.db"

    def stream(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def _goods(self) -> list[list[Goods]]:
        """One task or two at once; and now and then, when they have ended, another table for the first."""
        chance = self.stream("goods")
        max_tokens = chance.choice((FITS, SPLIT))
        rounds = chance.choice((("one",), ("one", "two"), ("one", "two", "one"), ("one", "one")))
        ahead = 2 if rounds[1:2] == ("two",) else 1
        goods = [drawn(chance, name, max_tokens) for name in rounds]
        return [goods[:ahead], goods[ahead:]]

    def _poison(self, which: int) -> frozenset[str]:
        """The provider (0) refuses those of one half of the tables, the store (1) those of the other."""
        return frozenset(
            text
            for at, goods in enumerate(self.goods)
            if (self.seed + at) % 2 == which
            for text in goods.poison
        )

    def stored(self, namespace: str) -> Mapping[str, Any]:
        """The vectors by id, looked at from behind."""
        return self.store._vectors(namespace)

    # Clocks

    def wall(self) -> float:
        """The clock that all hosts and the ledger share; it may be set."""
        return EPOCH + self.loop.time() + self._jumped

    def jump(self, seconds: float) -> None:
        self._jumped += seconds
        self.dice.thrown["jump"] += 1
        self.trace.add(f"the clock jumps by {seconds:.1f} s")

    # Processes

    def life(self, slot: int) -> Life:
        """A process that starts now."""
        number = len(self.lives) + 1
        pid = 100 + (slot if self._same_pids else number)
        life = Life(number, f"host-{slot % 2}", pid, self.wall())
        self.lives.append(life)
        self.processes.add(life)
        return life

    def machine(self, life: Life) -> Machine:
        """The parts of one process: what is in its memory is its own."""
        chance = self.stream(f"machine {life.number}")
        max_tokens = self.goods[0].max_tokens
        return Machine(
            self.ledger(),
            WiredFiles(self.files, self.wire),
            WiredStore(self.store, self.wire, self._poison(1), chance),
            WiredEmbedder(self.provider, self.wire, max_tokens, chance),
            "memory",
            {},
            Limits(1_000, 1 << 12, LEASE),
        )

    def ledger(self) -> Ledger:
        if self._book is None:
            self.opened.append(WiredSqlLedger(self._database, self.wall, self.wire, self.watch))
            return self.opened[-1]
        return WiredMemoryLedger(self._book, self.wall, self.wire, self.watch)

    def close(self) -> None:
        """Let go of files: an operating system does so for processes that are gone."""
        for ledger in self.opened:
            ledger.let_go()

    def start(self, life: Life, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self.loop.create_task(doing, context=life.context())

    async def work(self, slot: int) -> None:
        """A place where there is always a process: when one is gone, another is started."""
        while not self.broken:
            life = self.life(slot)
            self.trace.add(f"{life} starts on {life.host} with pid {life.pid}")
            running = self.start(life, self._process(slot, life))
            while not (life.gone or running.done()):
                await asyncio.sleep(0.1)
            self._ended(life, running)
            if self.closing:
                return
            await asyncio.sleep(self.chance.random() * 2)

    def _ended(self, life: Life, running: asyncio.Task[None]) -> None:
        error = running.exception() if running.done() else None
        self.trace.add(f"{life} is gone: {error!r}" if error else f"{life} is gone")
        life.gone = True
        if error and not isinstance(error, RetryLater):
            self.broken.append(Problem(Kind.OTHER, f"a worker broke: {error!r}"))

    async def _process(self, slot: int, life: Life) -> None:
        machine = self.machine(life)
        await machine.ledger.ready()
        bell = self.ring if self.chance.random() < 0.5 else None
        worker = Worker(machine, self.chance.randint(1, 3), 1.0, 3.0, RetryPolicy(4, 0.5, 5.0), bell)
        worked = Worked(life, worker)
        self.working[slot] = worked
        async with housekeeping(machine):
            await worker.run(worked.stop)
        del self.working[slot]

    # Fate

    def _step(self, life: Life) -> None:
        if self.crashes < MOST_CRASHES and self.dice.strikes("crash"):
            self.crash(life)
        elif self.dice.strikes("stop") and not life.stopped:
            life.stopped = True
            self.trace.add(f"{life} is stopped")
            seconds = self.chance.random() * LONGEST_STOP
            self.loop.call_later(seconds, self._go_on, life, context=NOBODY)

    def _go_on(self, life: Life) -> None:
        self.trace.add(f"{life} goes on")
        self.loop.go_on(life)

    def crash(self, life: Life) -> None:
        self.crashes += 1
        life.gone = True
        self.trace.add(f"{life} crashes")

    async def ring(self) -> None:
        """A bell that comes late, twice or not at all, to whoever is there."""
        for _ in range(self.chance.choice((0, 1, 1, 2))):
            self.loop.call_later(self.chance.random() * 3, self._rung, context=NOBODY)

    def _rung(self) -> None:
        there = [worked for worked in self.working.values() if not worked.life.gone]
        if there and not self.loop.ending:
            worked = self.chance.choice(there)
            self.start(worked.life, worked.worker.rest())

    def watch(self, what: str, book: Book) -> None:
        """After each write of the ledger."""
        self._writes += 1
        if what in UNHEARD_OF:
            return
        self.payments.see(book)
        if self._book is not None or self._writes % 8 == 0 or what in ("settled", "commit"):
            self.law.check(book)
