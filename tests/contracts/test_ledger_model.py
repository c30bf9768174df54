"""Every backend against a simple model, under whatever two workers, callers and a sweeper may do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rowvec.errors import LeaseLost, WrongState
from rowvec.model import ChunkFiles, Claim, Counts, Flag, Totals, WorkKind
from tests.contracts.ledger_kit import AUDITS, BACKENDS, ROWS, Clock, number_of, plan, spec, worker
from tests.contracts.ledger_model import ENDED, Model

T = TypeVar("T")
LEASE = 60.0
WORKERS = st.sampled_from(["a", "b"])
PICKS = st.integers(0, 1_000)
DELAYS = st.sampled_from([0.0, 0.0, 20.0])
STALE = st.sampled_from([False, False, True])
WISHES = st.sampled_from([*Flag, Flag.PAUSE, Flag.RESUME])
ERRORS = st.sampled_from([None, "no"])


class LedgerMachine(RuleBasedStateMachine):
    """`claims` are all that were ever handed out, so that old fences come back to commit."""

    backend = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.clock, self.model = Clock(), Model()
        self.ledger = BACKENDS[self.backend](Path(self.folder.name), self.clock)
        self.claims: list[tuple[str, Claim]] = []
        self.run(self.ledger.ready())

    def teardown(self) -> None:
        self.run(self.ledger.close())
        self.runner.close()
        self.folder.cleanup()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def happens(self, claim: Claim, call: Coroutine[Any, Any, None], allowed: bool = True) -> bool:
        """Run a worker's write: it lands if its claim is live and the write allowed, else LeaseLost."""
        if self.model.live(claim) and allowed:
            self.run(call)
            return True
        with pytest.raises(LeaseLost):
            self.run(call)
        return False

    def pick(self, pick: int, stale: bool, *kinds: WorkKind) -> Claim | None:
        """A claim of these kinds: a live one, or any that ever was."""
        found = [c for _, c in self.claims if c.kind in kinds and (stale or self.model.live(c))]
        return found[pick % len(found)] if found else None

    def some_task(self, pick: int) -> str:
        return list(self.model.tasks)[pick % len(self.model.tasks)]

    # Callers

    @initialize(chunks=st.integers(1, 6), taken=st.integers(0, 3))
    def begin(self, chunks: int, taken: int) -> None:
        """One task is at work, one is being planned, one waits for its planner."""
        for name in ("a", "b"):
            self.enlist(name)
        self.submit("first")
        self.claim("a", 1, None)
        self.plan_all(0, False, chunks)
        self.submit("second")
        self.claim("b", 1, None)
        self.append(0, False, 0, 2)
        self.claim("a", taken + 1, None) if taken else None
        self.submit("third")

    @rule(name=st.sampled_from(["x", "y"]))
    def submit(self, name: str) -> None:
        answer = self.run(self.ledger.submit(spec(name)))
        running = self.model.running(name)
        assert answer.fresh == (running is None)
        assert running in (None, answer.task.id)
        if answer.fresh:
            self.model.submit(answer.task.id, name)

    @rule(pick=PICKS)
    def pause(self, pick: int) -> None:
        self.flag(pick, Flag.PAUSE)

    @rule(pick=PICKS, flag=WISHES)
    def flag(self, pick: int, flag: Flag) -> None:
        task_id = self.some_task(pick)
        if self.model.may(task_id, flag.value):
            self.run(self.ledger.flag(task_id, flag))
            self.model.flag(task_id, flag.value)
        else:
            with pytest.raises(WrongState):
                self.run(self.ledger.flag(task_id, flag))

    # Claims

    @rule(name=WORKERS, dead=STALE, most=st.integers(1, 5), per_task=st.sampled_from([None, None, 1, 2]))
    def claim(self, name: str, most: int, per_task: int | None, dead: bool = False) -> None:
        if not dead:
            self.enlist(name)
        claims = self.run(self.ledger.claim(name, most, None if per_task is None else lambda _: per_task))
        alive = name in self.model.beats
        plans = self.model.idle("pending", "planning")[:most] if alive else []
        settles = self.model.idle("settling")[: most - len(plans)] if alive else []
        tasks = [(WorkKind.PLAN, i) for i in plans] + [(WorkKind.SETTLE, i) for i in settles]
        assert [(c.kind, c.task.id) for c in claims[: len(tasks)]] == tasks
        for claim in claims[: len(tasks)]:
            self.hold_task(name, claim)
        self.hold_chunks(name, claims[len(tasks) :], most - len(tasks) if alive else 0, per_task)
        self.claims += [(name, claim) for claim in claims]

    def hold_task(self, name: str, claim: Claim) -> None:
        task = self.model.tasks[claim.task.id]
        assert claim.fence == task["fence"] + 1
        state = "planning" if task["state"] == "pending" else task["state"]
        task.update(state=state, worker=name, fence=claim.fence)

    def hold_chunks(self, name: str, claims: list[Claim], room: int, per_task: int | None) -> None:
        """Each is ready, the lowest of its task, and from a task with the fewest claimed."""
        for claim in claims:
            open_now = self.model.available(name, per_task)
            fewest = min(self.model.claimed(task_id) for task_id in open_now)
            assert self.model.claimed(claim.task.id) == fewest
            assert number_of(claim) == open_now[claim.task.id][0]
            chunk = self.model.tasks[claim.task.id]["chunks"][number_of(claim)]
            assert claim.fence == chunk["fence"] + 1
            chunk.update(state="claimed", worker=name, fence=claim.fence)
        assert len(claims) == room or (len(claims) < room and not self.model.available(name, per_task))

    @rule(name=WORKERS, chunks=st.integers(0, 4), upserted=st.integers(0, ROWS))
    def work(self, name: str, chunks: int, upserted: int) -> None:
        """The natural course: come if need be, take what there is, and bring all of it to its end."""
        self.claim(name, 5, None)
        for claim in [c for _, c in self.claims if self.model.live(c)]:
            if claim.kind is WorkKind.PLAN:
                self.append_under(claim, range(chunks))
                self.planned_under(claim)
            elif claim.kind is WorkKind.CHUNK:
                self.commit_under(claim, upserted)
            else:
                self.settle_under(claim, 1)

    @rule(name=WORKERS)
    def take_over(self, name: str) -> None:
        """A worker stalls, is buried, the other takes its work; then it wakes and writes all it held."""
        held = [claim for owner, claim in self.claims if owner == name and self.model.live(claim)]
        self.bury(name, False)
        self.claim("b" if name == "a" else "a", 5, None)
        for claim in held:
            assert not self.run(self.ledger.holds(name, claim))
            if claim.kind is WorkKind.CHUNK:
                self.commit_under(claim, ROWS)
            else:
                self.append_under(claim, range(1))
                self.settle_under(claim, 0)

    @rule(pick=PICKS)
    @precondition(lambda self: self.claims)
    def holds(self, pick: int) -> None:
        name, claim = self.claims[pick % len(self.claims)]
        expected = self.model.live(claim) and name in self.model.beats
        assert self.run(self.ledger.holds(name, claim)) == expected
        assert not self.run(self.ledger.holds("stranger", claim))

    # Planning and settling

    @rule(pick=PICKS, stale=STALE, first=st.integers(0, 3), many=st.integers(0, 3))
    def append(self, pick: int, stale: bool, first: int, many: int) -> None:
        claim = self.pick(pick, stale, WorkKind.PLAN)
        if claim:
            self.append_under(claim, range(first, first + many))

    @rule(pick=PICKS, stale=STALE, size=st.integers(0, 3))
    def pin(self, pick: int, stale: bool, size: int) -> None:
        claim = self.pick(pick, stale, WorkKind.PLAN)
        if claim:
            closed = replace(claim.task.spec, source=replace(claim.task.spec.source, size=size))
            if self.planner_may(claim, self.ledger.pinned(claim.task.id, claim.fence, closed)):
                assert self.run(self.ledger.task(claim.task.id)).spec == closed

    @rule(pick=PICKS, stale=STALE, chunks=st.integers(0, 4))
    def plan_all(self, pick: int, stale: bool, chunks: int) -> None:
        claim = self.pick(pick, stale, WorkKind.PLAN)
        if claim:
            self.append_under(claim, range(chunks))
            self.planned_under(claim)

    def append_under(self, claim: Claim, numbers: range) -> None:
        plans = [plan(number) for number in numbers]
        call = self.ledger.append_chunks(claim.task.id, claim.fence, plans)
        if self.planner_may(claim, call):
            self.model.append(claim.task.id, {p.number: p.rows for p in plans})

    def planned_under(self, claim: Claim) -> None:
        chunks = len(self.model.tasks[claim.task.id]["chunks"])
        totals = Totals(chunks * ROWS, 1, 0, chunks)
        if self.planner_may(claim, self.ledger.planned(claim.task.id, claim.fence, totals)):
            self.model.planned(claim.task.id)

    def planner_may(self, claim: Claim, call: Coroutine[Any, Any, None]) -> bool:
        """A planner of a held task hears LeaseLost, and from then on nobody plans it."""
        live, held = self.model.live(claim), self.model.tasks[claim.task.id]["hold"]
        landed = self.happens(claim, call, not held)
        if live and not landed:
            self.model.let_go(claim.task.id)
        return landed

    @rule(pick=PICKS, stale=STALE, error=ERRORS, delay=DELAYS)
    def release(self, pick: int, stale: bool, error: str | None, delay: float) -> None:
        claim = self.pick(pick, stale, WorkKind.PLAN, WorkKind.SETTLE)
        due = self.clock.at + delay
        if claim and self.happens(claim, self.ledger.release(claim.task.id, claim.fence, error, due)):
            self.model.let_go(claim.task.id, error is not None, due)

    @rule(pick=PICKS, stale=STALE, doubles=st.integers(0, 3))
    def settle(self, pick: int, stale: bool, doubles: int) -> None:
        claim = self.pick(pick, stale, WorkKind.SETTLE)
        if claim:
            self.settle_under(claim, doubles)

    def settle_under(self, claim: Claim, doubles: int) -> None:
        doubles = min(doubles, self.model.counts(claim.task.id).upserted)
        if self.happens(claim, self.ledger.settled(claim.task.id, claim.fence, doubles, doubles)):
            self.model.settled(claim.task.id, doubles, doubles)

    @rule(pick=PICKS, stale=STALE)
    def fail(self, pick: int, stale: bool) -> None:
        claim = self.pick(pick, stale, WorkKind.PLAN, WorkKind.SETTLE)
        if claim and self.happens(claim, self.ledger.fail(claim.task.id, claim.fence, "no")):
            self.model.fail(claim.task.id)

    # Chunks

    @rule(pick=PICKS, stale=STALE, upserted=st.integers(0, ROWS))
    def commit(self, pick: int, stale: bool, upserted: int) -> None:
        claim = self.pick(pick, stale, WorkKind.CHUNK)
        if claim:
            self.commit_under(claim, upserted)

    def commit_under(self, claim: Claim, upserted: int) -> None:
        counts = Counts(read=ROWS, upserted=upserted, rejected=ROWS - upserted, passages=2 * upserted)
        call = self.ledger.commit(claim.task.id, number_of(claim), claim.fence, counts, ChunkFiles())
        if self.happens(claim, call):
            self.model.bring_back(claim, state="done", counts=counts)

    @rule(pick=PICKS, stale=STALE, error=ERRORS, delay=DELAYS)
    def hand_back(self, pick: int, stale: bool, error: str | None, delay: float) -> None:
        claim = self.pick(pick, stale, WorkKind.CHUNK)
        if claim is None:
            return
        due, chunks = self.clock.at + delay, self.model.tasks[claim.task.id]["chunks"]
        call = self.ledger.hand_back(claim.task.id, number_of(claim), claim.fence, error, due)
        attempts = chunks[number_of(claim)]["attempts"] + (error is not None)
        if self.happens(claim, call):
            self.model.bring_back(claim, state="ready", due=due, attempts=attempts)

    @rule(pick=PICKS, stale=STALE)
    def give_up(self, pick: int, stale: bool) -> None:
        claim = self.pick(pick, stale, WorkKind.CHUNK)
        if claim is None:
            return
        if self.happens(claim, self.ledger.give_up(claim.task.id, number_of(claim), claim.fence, "no")):
            self.model.bring_back(claim, state="failed")

    # Workers and time

    @rule(name=WORKERS)
    def enlist(self, name: str) -> None:
        if name not in self.model.beats:
            self.run(self.ledger.enlist(worker(name)))
            self.model.beats[name] = self.clock.at

    @rule(name=WORKERS)
    def beat(self, name: str) -> None:
        alive = name in self.model.beats
        assert self.run(self.ledger.beat(name, 0)) == alive
        if alive:
            self.model.beats[name] = self.clock.at

    @rule(name=WORKERS, back=st.booleans())
    def bury(self, name: str, back: bool) -> None:
        assert self.run(self.ledger.bury([name])) == self.model.leave(name, crash=1)
        if back:
            self.enlist(name)

    @rule(name=WORKERS)
    def retire(self, name: str) -> None:
        self.run(self.ledger.retire(name))
        self.model.leave(name, crash=0)

    @rule(seconds=st.sampled_from([10.0, 30.0, LEASE + 1]))
    def time_passes(self, seconds: float) -> None:
        self.clock.at += seconds
        self.model.now = self.clock.at

    @rule()
    def sweep(self) -> None:
        silent = [name for name, beat in self.model.beats.items() if self.clock.at - beat > LEASE]
        assert self.run(self.ledger.sweep(LEASE)) == sum(self.model.leave(name, 1) for name in silent)
        assert {w.id for w in self.run(self.ledger.workers())} == set(self.model.beats)

    @rule()
    def look_behind(self) -> None:
        """Whatever else the ledger keeps agrees with what it shows."""
        AUDITS.get(self.backend, lambda ledger: None)(self.ledger)

    # What always holds

    @invariant()
    def ledger_and_model_agree(self) -> None:
        tasks = {task.id: task for task in self.run(self.ledger.tasks(1_000)).tasks}
        assert list(tasks) == list(self.model.tasks)[::-1]
        for task_id, task in tasks.items():
            expected = self.model.shown(task_id)
            assert {name: getattr(task, name) for name in expected} == expected
            assert (task.completed_at is not None) == (task.state.value in ENDED)
            assert task.counts.accounted + task.unprocessed == task.rows_planned
            if task.state.value == "completed":
                assert task.unprocessed == 0
            if task.state.value not in ("completed", "cancelled"):
                self.chunks_agree(task_id)

    def chunks_agree(self, task_id: str) -> None:
        chunks = self.run(self.ledger.chunks(task_id))
        expected = self.model.tasks[task_id]["chunks"]
        assert [chunk.plan.number for chunk in chunks] == sorted(expected)
        for chunk in chunks:
            row = expected[chunk.plan.number]
            assert (chunk.state.value, chunk.not_before) == (row["state"], row["due"])
            for name in ("worker", "fence", "attempts", "crashes", "counts"):
                assert getattr(chunk, name) == row[name], name

    @invariant()
    def each_chunk_has_one_holder_at_most(self) -> None:
        live = [(c.task.id, number_of(c)) for _, c in self.claims if c.chunk and self.model.live(c)]
        assert len(live) == len(set(live))


EXAMPLES = {"memory": 80, "dynamodb": 4}
"""How many runs; 20 of a ledger that writes to a disk, few of one each of whose steps is many calls."""


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_ledger_keeps_to_the_model(backend: str) -> None:
    """Whatever two workers, callers and a sweeper do, the ledger stands where the model stands."""
    bounds = settings(
        max_examples=EXAMPLES.get(backend, 20),
        stateful_step_count=50,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    machine = type("Machine", (LedgerMachine,), {"backend": backend})
    run_state_machine_as_test(machine, settings=bounds)
