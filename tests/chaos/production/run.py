"""The run: the whole stack in real processes, a large table in it, and blows from beginning to end."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg

from standins.process import started
from tests.acceptance.goods import TEMPLATE, Goods, make_goods
from tests.acceptance.production import INDEXES, OPENAI_KEY, Production, production, until
from tests.acceptance.service import ENDED
from tests.chaos.check import COUNTED
from tests.chaos.production import bill, weather
from tests.chaos.production.bill import Bill
from tests.chaos.production.blows import ELSEWHERE, Blow, Blows, schedule
from tests.chaos.production.history import History, Note, holds
from tests.servers import moto, postgres, redis

NAMESPACE = "chaos"
AWAY = {"three": ELSEWHERE}
"""A worker whose end no other can see but by its silence, beside two on this host."""
TOKENS_A_ROW = 20
LEAST_TOKENS = 100_000.0
HIT_SHARE = 0.85
"""Of the chunks are done when the last blow falls: whoever is started for it still gets some."""
TAIL_SECONDS = 12.0
SECONDS_A_BLOW = 4.0
"""At first: the budget of tokens follows what blows take, so that the rows last as long as they do."""
SECONDS_BETWEEN = 1.5
"""Beside what a blow takes by itself."""
VERIFY_SECONDS = 900.0
"""For the answer: every vector is asked for, of a store that fails. Two minutes were too few for 200,000."""

SLOTS = 16
"""Chunks that a worker has under way at most: as many as its clients of OpenAI and Pinecone are worth."""


@dataclass(frozen=True, slots=True)
class Setup:
    rows: int
    kills: int
    chunk_size: int
    lease: float
    seconds: float
    seed: int

    @property
    def chunks(self) -> int:
        return -(-self.rows // self.chunk_size)

    @property
    def allowance(self) -> int:
        """Chunks that a worker may hold at once when all is planned: two, or 2 % of the rows."""
        return min(max(2, self.rows // (50 * self.chunk_size)), SLOTS)


@dataclass
class Outcome:
    """What a run left to look at."""

    setup: Setup
    goods: Goods
    task_id: str = ""
    blows: list[Blow] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    came: dict[str, float] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    rejected: list[int] = field(default_factory=list)
    verified: dict[str, Any] = field(default_factory=dict)
    landed: dict[str, list[str]] = field(default_factory=dict)
    bill: Bill | None = None
    faults: Counter[str] = field(default_factory=Counter)
    asked: dict[str, Any] = field(default_factory=dict)
    lawless: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Chaos:
    def __init__(self, folder: Path, setup: Setup, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._setup = setup
        self._tell = tell
        self._deadline = time.monotonic() + setup.seconds
        self._looked = 0.0

    def run(self) -> Outcome:
        """Raises when the time is over or a part does not come back; leaves no process behind."""
        began = time.monotonic()
        setup = self._setup
        doubled = setup.rows // 100
        outcome = Outcome(setup, make_goods(setup.rows, setup.seed, doubled=doubled, bad=setup.rows // 1_000))
        with ExitStack() as ending:
            whole, blows, history = self._stack(ending)
            whole.put("chaos.csv", outcome.goods)
            weather.rage(whole.openai, whole.pinecone)
            outcome.task_id = self._submit(whole)
            self._storm(whole, blows, history, outcome)
            outcome.status = self._end(whole, outcome)
            outcome.notes, outcome.came = history.notes(outcome.task_id), history.workers()
            outcome.faults = weather.counted(whole.openai, whole.pinecone)
            outcome.asked = weather.requests(whole.openai, whole.pinecone)
            weather.calm(whole.openai, whole.pinecone)
            self._look(whole, outcome)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _stack(self, ending: ExitStack) -> tuple[Production, Blows, History]:
        for name in ("redis", "moto"):
            (self._folder / name).mkdir(parents=True)
        broker = ending.enter_context(redis.running(self._folder / "redis"))
        ledger = ending.enter_context(postgres.running())
        files = ending.enter_context(moto.running(self._folder / "moto"))
        openai = ending.enter_context(started("openai", key=OPENAI_KEY))
        pinecone = ending.enter_context(started("pinecone", indexes=INDEXES, keep_vectors=0))
        settings = {
            "BROKER_URL": broker.url,
            "LEDGER_URL": ledger.url,
            "LEASE_SECONDS": f"{self._setup.lease:g}",
        }
        whole = ending.enter_context(
            production(self._folder / "whole", openai, pinecone, files, AWAY, **settings)
        )
        history = History(ledger.url)
        ending.callback(history.close)
        history.begin()
        chance = random.Random(self._setup.seed)
        blows = Blows(whole, broker, ledger, history, _moto(), self._setup.lease, chance)
        return whole, blows, history

    def _submit(self, whole: Production) -> str:
        return whole.service.submit(
            data_source="s3_csv",
            s3_key="chaos.csv",
            namespace=NAMESPACE,
            id_column="id",
            text_template=TEMPLATE,
            batch_size=self._setup.chunk_size,
        )

    def _storm(self, whole: Production, blows: Blows, history: History, outcome: Outcome) -> None:
        """Each blow once its share of the chunks is done; over when the task is."""
        kinds = schedule(self._setup.kills, random.Random(self._setup.seed))
        began, striking = time.monotonic(), 0.0
        for place, kind in enumerate(kinds):
            goal = int(self._setup.chunks * HIT_SHARE * place / len(kinds))
            done = self._until_done(whole, history, outcome, goal)
            if done == self._setup.chunks:
                return
            lasted = striking / place + SECONDS_BETWEEN if place else SECONDS_A_BLOW
            self._pace(whole, self._setup.chunks - done, (len(kinds) - place) * lasted + TAIL_SECONDS)
            struck = time.monotonic()
            outcome.blows.append(blows.strike(kind))
            striking += time.monotonic() - struck
            self._tell(
                f"blow {place + 1:>3} of {len(kinds)} after {struck - began:>5.0f} s, {done:>5} chunks done: "
                f"{kind}, {time.monotonic() - struck:.1f} s"
            )

    def _pace(self, whole: Production, chunks_left: int, seconds_left: float) -> None:
        """A budget with which the rest lasts so long, as if it were done once and a half."""
        tokens = chunks_left * self._setup.chunk_size * TOKENS_A_ROW
        whole.openai.set(tokens_per_minute=max(LEAST_TOKENS, 60 * tokens / seconds_left))

    def _until_done(self, whole: Production, history: History, outcome: Outcome, goal: int) -> int:
        """How many chunks are done, once that is so many."""
        while True:
            with suppress(psycopg.OperationalError):
                if (done := history.done(outcome.task_id)) >= goal:
                    return done
            self._see_law(whole, outcome)
            if time.monotonic() > self._deadline:
                raise TimeoutError(f"no end after {self._setup.seconds:.0f} s")
            time.sleep(0.05)

    def _see_law(self, whole: Production, outcome: Outcome) -> dict[str, Any] | None:
        """The status, of which the law holds at every moment; None where there is no answer. Looks no more
        often than once a second, and else answers None, too."""
        if time.monotonic() < self._looked + 1.0:
            return None
        self._looked = time.monotonic()
        try:
            answer = whole.service.http.get(f"/api/v1/status/{outcome.task_id}")
        except httpx2.TransportError:
            return None
        if answer.status_code == 503:
            return None
        status: dict[str, Any] = answer.raise_for_status().json()
        account = status["conservation"]
        if account["read"] != sum(account[part] for part in COUNTED):
            outcome.lawless.append(str(account))
        return status

    def _end(self, whole: Production, outcome: Outcome) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            status = self._see_law(whole, outcome)
            return status if status and status["status"] in ENDED else None

        return until(ended, "the task does not end", max(1.0, self._deadline - time.monotonic()))

    def _look(self, whole: Production, outcome: Outcome) -> None:
        """At all that came of it."""
        outcome.rejected = sorted(note["row"] for note in whole.service.left_out(outcome.task_id))
        outcome.verified = until(lambda: self._verified(whole, outcome), "verify is not answered")
        outcome.landed = whole.landed(NAMESPACE)
        held = holds(outcome.notes)
        outcome.bill = Bill(
            billed=whole.times_billed(outcome.goods),
            lost=whole.times_lost(outcome.goods),
            in_flight=bill.in_flight(held, outcome.blows),
            handed_on=bill.handed_on(held, outcome.blows),
            settled=bill.settlings(held, outcome.goods.settled_again),
        )

    def _verified(self, whole: Production, outcome: Outcome) -> dict[str, Any] | None:
        """None where the store took longer than a lease, which is short here: it may be asked again."""
        answer = whole.service.http.post(f"/api/v1/tasks/{outcome.task_id}/verify", timeout=VERIFY_SECONDS)
        if answer.status_code == 503:
            return None
        verified: dict[str, Any] = answer.raise_for_status().json()
        return verified


def _moto() -> psutil.Process:
    """The file store that this process has started."""
    found: Iterator[psutil.Process] = (
        child for child in psutil.Process().children() if "moto_program" in " ".join(child.cmdline())
    )
    return next(found)
