"""The promises, checked from outside: what the stand-ins hold and billed, and what PostgreSQL wrote down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.check import other_counts
from tests.chaos.production.blows import ELSEWHERE, KILLS, PROCESS, PROGRAM, STOP, Blow
from tests.chaos.production.history import DONE, Hold, holds
from tests.chaos.production.run import Outcome
from tests.chaos.production.takeover import TOGETHER, Times, full, presence, struck, taken_over
from tests.simulation.problem import Kind, Problem, some

TAKEN_OVER_WITHIN = 2.0
"""Leases."""


def problems(outcome: Outcome) -> list[Problem]:
    """Every promise that was broken, but for how long things took; empty when all were kept."""
    return [
        *_of_the_end(outcome),
        *_of_the_account(outcome),
        *_of_the_index(outcome),
        *_of_the_bill(outcome),
        *_of_the_fences(outcome),
    ]


def late(outcome: Outcome) -> list[Hold]:
    """What workers that were stopped past their lease came back with, and another had by then."""
    held = holds(outcome.notes)
    stops = [blow for blow in outcome.blows if blow.kind == STOP]
    return [hold for blow in stops for hold in struck(held, blow) if hold.ended != DONE]


def _of_the_end(outcome: Outcome) -> Iterator[Problem]:
    status = outcome.status
    if status["status"] != "completed":
        yield Problem(Kind.OTHER, f"the task is {status['status']}: {status['error']}")
    kills = sum(blow.kind in KILLS for blow in outcome.blows)
    if kills < outcome.setup.kills:
        yield Problem(Kind.OTHER, f"{kills} kills, {outcome.setup.kills} wanted")
    if not outcome.verified["ok"]:
        yield Problem(Kind.WRONG, f"verify says {outcome.verified}")
    yield from some(Kind.WRONG, "times the counts did not add up", outcome.lawless)


def _of_the_account(outcome: Outcome) -> Iterator[Problem]:
    goods, account = outcome.goods, outcome.status["conservation"]
    yield from other_counts(account, goods.rows, len(goods.winners), goods.losers, len(goods.bad))
    yield from some(Kind.LOST, "bad rows are not listed", set(goods.bad) - set(outcome.rejected))
    yield from some(Kind.WRONG, "good rows are rejected", set(outcome.rejected) - set(goods.bad))
    twice = [row for row, times in Counter(outcome.rejected).items() if times > 1]
    yield from some(Kind.DOUBLED, "rejected rows are listed more than once", twice)


def _of_the_index(outcome: Outcome) -> Iterator[Problem]:
    """Each id with its own text's vector, as the stand-in's function gives it, and its row's fields."""
    expected, found = outcome.goods.landed(outcome.task_id), outcome.landed
    both = expected.keys() & found.keys()
    vector, fields = ({i for i in both if found[i][at] != expected[i][at]} for at in (0, 1))
    yield from some(Kind.LOST, "ids are not in the index", expected.keys() - found.keys())
    yield from some(Kind.DOUBLED, "ids are in the index and of no row", found.keys() - expected.keys())
    yield from some(Kind.WRONG, "ids have another text's vector", vector)
    yield from some(Kind.WRONG, "ids have another row's fields", fields)


def _of_the_bill(outcome: Outcome) -> Iterator[Problem]:
    bill = outcome.bill
    if bill is None:
        return
    winners = {good.number for good in outcome.goods.winners.values()}
    unpaid = [row for row in winners if not bill.billed[row]]
    yield from some(Kind.WRONG, "rows are in the index and were never paid", unpaid)
    yield from some(Kind.PAID, "rows were paid too often", bill.beyond())


def _of_the_fences(outcome: Outcome) -> Iterator[Problem]:
    """Each chunk is done once, under the fence of its last claim."""
    done = Counter(note.number for note in outcome.notes if note.state == DONE)
    fences = {note.number: note.fence for note in outcome.notes if note.state == DONE}
    last = {number: each[-1].fence for number, each in holds(outcome.notes).items() if number >= 0}
    yield from some(Kind.DOUBLED, "chunks were done more than once", [n for n in done if done[n] > 1])
    yield from some(Kind.LOST, "chunks were never done", last.keys() - done.keys())
    yield from some(Kind.WRONG, "chunks were done by an old claim",
                    [n for n in done if fences[n] != last.get(n)])  # fmt: skip


def too_slow(outcome: Outcome) -> list[Problem]:
    """Where of a hundred pieces of work more than one lay for longer than it may."""
    most = TAKEN_OVER_WITHIN * outcome.setup.lease
    lay = times_of(outcome)[TOGETHER].at(0.99)
    return [Problem(Kind.OTHER, f"work lay for {lay:.1f} s, {most:.1f} allowed")] if lay > most else []


def times_of(outcome: Outcome) -> dict[str, Times]:
    """From a blow to the next claim, as long as a worker was there and, once the work was taken back, had
    room for it, by the kind of blow and together."""
    return _times(outcome, outcome.came, outcome.blows)


def times_beside(outcome: Outcome) -> dict[str, Times]:
    """As long as there was a worker of the same host, which needs to wait for no lease."""
    here = {worker: at for worker, at in outcome.came.items() if not worker.startswith(ELSEWHERE)}
    blows = [blow for blow in outcome.blows if blow.kind in (PROCESS, PROGRAM)]
    times = _times(outcome, here, blows)
    return {kind: each for kind, each in times.items() if kind in (PROCESS, PROGRAM)}


def _times(outcome: Outcome, came: Mapping[str, float], blows: Sequence[Blow]) -> dict[str, Times]:
    held = holds(outcome.notes)
    there = presence(came, outcome.blows)
    with_room = presence(came, outcome.blows, full(held, outcome.setup.allowance))
    return taken_over(held, blows, there, with_room)
