"""A fleet works on one task while one of its hosts is cut off for longer than its lease, and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.acceptance.goods import TEMPLATE, Goods, make_goods
from tests.acceptance.production import PATIENCE, until
from tests.acceptance.test_production import check_end, check_verified
from tests.chaos.production.history import DONE, OPEN, History, Hold, holds
from tests.infrastructure.fleet import WORKING, Fleet, fleet

ONE, TWO = WORKING
ROWS, CHUNK = 2_500, 25
SLOW = 150_000
"""Tokens a minute, of which a row has some twenty: the rows outlast the cut."""


def test_a_host_is_cut_off_for_longer_than_its_lease_and_comes_back(tmp_path: Path) -> None:
    """Nothing is lost and nothing doubled; each chunk is done once, under its last claim; both hosts work."""
    with fleet(tmp_path, LEASE_SECONDS="4") as there:
        goods, task_id = begun_by_both(there)
        cut_off_until_its_work_is_done(there, task_id)
        there.net.plug(TWO)
        until(lambda: there.at_work(TWO), "it works again")
        check_all(there, goods, task_id)


def test_a_host_that_does_not_notice_is_held_off_by_the_fence(tmp_path: Path) -> None:
    """It comes back and goes on with what others have done meanwhile, up to the commit, which is refused."""
    with fleet(tmp_path, stubborn=[TWO], LEASE_SECONDS="4") as there:
        goods, task_id = begun_by_both(there)
        cut_off_until_its_work_is_done(there, task_id)
        there.net.plug(TWO)
        until(lambda: "lease lost" in there.whole.workers[1].log.read_text(), "it is refused")
        check_all(there, goods, task_id)


def begun_by_both(there: Fleet) -> tuple[Goods, str]:
    """A table and its task, at which both hosts work, slowly."""
    goods = make_goods(ROWS, seed=5, doubled=60, bad=6)
    there.whole.put("goods.csv", goods)
    there.whole.openai.set(tokens_per_minute=SLOW, latency={"mean": 0.3, "sigma": 0.3})
    task_id = there.whole.service.submit(
        data_source="s3_csv", s3_key="goods.csv", id_column="id", text_template=TEMPLATE, batch_size=CHUNK
    )
    until(lambda: there.at_work(ONE) and there.at_work(TWO), "both hosts work")
    return goods, task_id


def cut_off_until_its_work_is_done(there: Fleet, task_id: str) -> None:
    """By the other host."""
    until(lambda: cut_off(there, TWO), "it is cut off from work")
    until(lambda: not there.is_alive(TWO) and not there.at_work(TWO), "its work is taken from it")
    lost = taken_from(there.history, task_id, TWO)
    assert lost
    until(lambda: lost <= done_by(there.history, task_id, ONE), "the other host does its work")


def check_all(there: Fleet, goods: Goods, task_id: str) -> None:
    """At the end of the task, which may hurry now."""
    whole, history = there.whole, there.history
    whole.openai.set(tokens_per_minute=None)
    status = whole.service.end_of(task_id, PATIENCE)
    check_end(whole, goods, status)
    check_verified(whole, goods, task_id)
    assert sorted(line["row"] for line in whole.service.left_out(task_id)) == goods.bad
    claims = {n: each for n, each in holds(history.notes(task_id)).items() if n >= 0}
    ended = [[hold.ended for hold in each] for each in claims.values()]
    assert len(claims) == ROWS // CHUNK
    assert [each for each in ended if each.count(DONE) != 1 or each[-1] != DONE] == []


def cut_off(there: Fleet, host: str) -> bool:
    """Has it work in hand as it goes? Else it is plugged in again."""
    there.net.unplug(host)
    if not (has_work := bool(there.at_work(host))):
        there.net.plug(host)
    return has_work


def done_by(history: History, task_id: str, host: str) -> set[int]:
    """Numbers of the chunks that workers of that host have done."""
    return {hold.number for hold in claims_of(history, task_id, host) if hold.ended == DONE}


def taken_from(history: History, task_id: str, host: str) -> set[int]:
    return {hold.number for hold in claims_of(history, task_id, host) if hold.ended not in (DONE, OPEN)}


def claims_of(history: History, task_id: str, host: str) -> Iterator[Hold]:
    every = chain.from_iterable(holds(history.notes(task_id)).values())
    return (hold for hold in every if hold.number >= 0 and hold.worker.startswith(host))
