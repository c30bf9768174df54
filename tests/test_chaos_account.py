"""How the proof under fault reckons: who held what, how long it lay, and who may have paid twice."""

from __future__ import annotations

import random
from math import inf

import pytest

from tests.chaos.production.bill import Bill, handed_on, in_flight, settlings
from tests.chaos.production.blows import HOST, KILLS, POSTGRES, PROCESS, STOP, Blow, schedule
from tests.chaos.production.history import OPEN, PLAN, SETTLE, Note, holds
from tests.chaos.production.takeover import TOGETHER, Times, full, presence, taken_back, taken_over

A, B = "here-11-aa", "here-22-bb"


def note(at: float, state: str, worker: str | None = None, fence: int = 1, number: int = 0) -> Note:
    """Of chunk 0, 1 and so on, of ten rows each."""
    return Note(at, number, 1 + 10 * number, 10, state, worker, fence)


LOST_ONCE = [
    note(1.0, "claimed", A, 1), note(5.0, "ready", None, 1), note(6.5, "claimed", B, 2),
    note(8.0, "done", None, 2),
]  # fmt: skip
"""A has it, dies, and B does it."""


def test_a_hold_is_from_a_claim_to_what_became_of_it() -> None:
    """A beat or a count between does not end it; the last one is open while nobody has let go."""
    notes = [*LOST_ONCE, note(9.0, "settling", A, 3, SETTLE), note(9.5, "settling", A, 3, SETTLE)]
    held = holds(notes)
    assert [(h.worker, h.fence, h.since, h.until, h.ended) for h in held[0]] == [
        (A, 1, 1.0, 5.0, "ready"),
        (B, 2, 6.5, 8.0, "done"),
    ]
    assert [(h.fence, h.ended) for h in held[SETTLE]] == [(3, OPEN)]


def test_work_lies_from_the_blow_to_the_next_claim() -> None:
    """From the blow to the moment at which it was taken back is another time."""
    times = taken_over(holds(LOST_ONCE), [Blow(PROCESS, 4.0, 11), Blow(HOST, 4.0, 33)])
    assert times[PROCESS].seconds == [2.5]
    assert times[HOST].seconds == []
    assert taken_back(holds(LOST_ONCE), [Blow(PROCESS, 4.0, 11), Blow(HOST, 7.0, 22)])[PROCESS].seconds == [
        1.0
    ]


def test_only_time_in_which_a_worker_and_the_ledger_were_there_counts() -> None:
    """One that is stopped is not there until it goes on, one that is killed never again."""
    blows = [Blow(PROCESS, 4.0, 11), Blow(STOP, 6.0, 22, 7.0), Blow(POSTGRES, 8.0, 0, 8.25)]
    there = presence({A: 1.0, B: 5.0}, blows)
    assert there.spans == [(1.0, 4.0), (5.0, 6.0), (7.0, 8.0), (8.25, inf)]
    assert there.seconds(3.5, 6.5) == 1.5
    assert taken_over(holds(LOST_ONCE), blows[:1], there)[TOGETHER].seconds == [1.0]


def test_a_worker_that_was_buried_is_there_under_its_new_name_only() -> None:
    """Its process is alive, but what it is asked for under the old one it can never take."""
    again = "here-22-cc"
    held = holds([note(1.0, "claimed", again), note(9.0, "done")])
    came = {B: 0.0, again: 1.0}
    assert presence(came, [], full(held, 1)).spans == [(0.0, 1.0), (9.0, inf)]


def test_work_that_is_back_waits_for_a_worker_that_may_have_more() -> None:
    """Until it is back it waits for nobody's room: that somebody sees the dead takes what it takes."""
    held = holds([
        *LOST_ONCE, note(0.5, "claimed", B, 1, 1), note(6.0, "done", None, 1, 1),
        note(2.0, "planning", B, 1, PLAN), note(9.0, "planned", None, 1, PLAN),
    ])  # fmt: skip
    busy = full(held, 1)
    assert busy == {A: [(1.0, 5.0)], B: [(0.5, 6.0), (6.5, 8.0)]}
    assert full(held, 2)[B] == []
    came, blows = {A: 0.0, B: 0.0}, [Blow(PROCESS, 4.0, 11)]
    with_room = presence(came, blows, busy)
    assert taken_over(held, blows, presence(came, blows), with_room)[TOGETHER].seconds == [1.5]


def test_workers_that_were_there_together_are_counted_once() -> None:
    assert presence({A: 1.0, B: 2.0}, [Blow(PROCESS, 4.0, 11)]).spans == [(1.0, inf)]


def test_what_was_done_before_a_blow_or_claimed_long_after_it_was_not_in_flight() -> None:
    held = holds(LOST_ONCE)
    assert in_flight(held, [Blow(PROCESS, 4.0, 11)]) == dict.fromkeys(range(1, 11), 1)
    assert in_flight(held, [Blow(PROCESS, 8.5, 22), Blow(PROCESS, 0.0, 22), Blow(PROCESS, 7.0, 2)]) == {}


def test_a_chunk_that_changed_hands_without_a_blow_is_told_apart() -> None:
    held = holds(LOST_ONCE)
    assert handed_on(held, [Blow(PROCESS, 4.0, 11)]) == {}
    assert handed_on(held, []) == dict.fromkeys(range(1, 11), 1)


@pytest.mark.parametrize(("billed", "beyond"), [(1, []), (2, []), (3, [5])])
def test_a_row_may_be_paid_again_for_each_reason_once(billed: int, beyond: list[int]) -> None:
    one = {number: int(number == 5) for number in range(1, 11)}
    held = holds(LOST_ONCE)
    blows = [Blow(PROCESS, 4.0, 11)]
    bill = Bill(
        billed={5: billed},
        in_flight=in_flight(held, blows),
        lost=dict.fromkeys(one, 0),
        handed_on=handed_on(held, blows),
        settled=settlings(held, [5]),
    )
    assert (bill.paid_twice, bill.beyond()) == (billed - 1, beyond)
    lost = Bill(bill.billed, bill.in_flight, one, bill.handed_on, bill.settled)
    assert lost.beyond() == []


def test_ranks_are_those_that_were_seen() -> None:
    times = Times([4.0, 1.0, 3.0, 2.0])
    assert (times.at(0.5), times.at(0.99), times.at(1.0)) == (2.0, 4.0, 4.0)
    assert Times([]).at(1.0) == 0.0


@pytest.mark.parametrize("kills", [5, 12, 160])
def test_so_many_kills_are_scheduled_and_each_kind_of_blow_comes(kills: int) -> None:
    kinds = schedule(kills, random.Random(1))
    assert sum(kind in KILLS for kind in kinds) == kills
    assert len(set(kinds)) == 9
