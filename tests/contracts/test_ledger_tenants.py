"""What every ledger promises about keys, tenants and what they may use, held against every backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rowvec.api_key import ApiKey, Grants, Scope
from rowvec.errors import IdempotencyConflict, LimitReached, UnknownKey, WrongState
from rowvec.ledgers.base import Ledger
from rowvec.ledgers.books.rules import fingerprint
from rowvec.spec import TaskSpec
from tests.contracts.ledger_kit import BACKENDS, Clock, plan, spec, totals, worker

pytestmark = pytest.mark.anyio

GRANTS = Grants(Scope.WRITE, "acme", ("acme", "acme.*"), ("upload",), "k", 5, 100, 1_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=sorted(BACKENDS))
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    made = BACKENDS[request.param](tmp_path, clock)
    await made.ready()
    await made.enlist(worker("w"))
    yield made
    await made.close()


def owned(tenant: str, name: str = "a.csv", account: str = "") -> TaskSpec:
    return replace(spec(name), tenant=tenant, account=account)


async def test_tenants_know_nothing_of_each_others_submissions(ledger: Ledger) -> None:
    """An equal spec or the same idempotency key of another tenant is another task, and no conflict."""
    acme = await ledger.submit(owned("acme"))
    assert (await ledger.submit(owned("acme"))).task == acme.task
    assert (await ledger.submit(owned("other"))).fresh
    assert (await ledger.submit(spec())).fresh
    keyed = await ledger.submit(owned("acme", "b.csv"), "once")
    assert (await ledger.submit(owned("other", "c.csv"), "once")).fresh
    assert (await ledger.submit(spec("d.csv"), "once")).fresh
    assert (await ledger.submit(owned("acme", "b.csv"), "once")).task == keyed.task
    with pytest.raises(IdempotencyConflict, match="'once'"):
        await ledger.submit(owned("acme", "c.csv"), "once")


async def test_a_list_of_one_tenant(ledger: Ledger) -> None:
    """Only its tasks, page by page, of one state or all; without a tenant all."""
    mine = [(await ledger.submit(owned("acme", f"{n}.csv"))).task.id for n in range(3)]
    await ledger.submit(owned("acm"))
    nobodys = (await ledger.submit(spec())).task.id
    first = await ledger.tasks(2, tenant="acme")
    rest = await ledger.tasks(2, first.cursor, tenant="acme")
    assert [task.id for task in [*first.tasks, *rest.tasks]] == mine[::-1]
    assert rest.cursor is None
    assert len((await ledger.tasks(state="pending", tenant="acme")).tasks) == 3
    assert (await ledger.tasks(state="failed", tenant="acme")).tasks == []
    assert [task.id for task in (await ledger.tasks(tenant="")).tasks] == [nobodys]
    assert len((await ledger.tasks()).tasks) == 5


def test_who_pays_is_no_part_of_a_submission() -> None:
    """And specs of the time before tenants are told apart as they were."""
    assert fingerprint(owned("acme")) == fingerprint(owned("acme", account="k"))
    assert fingerprint(spec()) != fingerprint(replace(spec(), max_tokens=0))
    assert fingerprint(spec()) == "3a2ca2ed6739e76b20005cdfb4eb21a8caa6b8eb44c1b899c7bfa649d28d3885"


async def test_what_a_key_allows_is_kept(ledger: Ledger) -> None:
    """Grants and expiry come back as they were stored, after a revocation too."""
    key = ApiKey("k", "00", "theirs", 5.0, expires_at=2_000.5, grants=GRANTS)
    await ledger.add_key(key)
    assert await ledger.key("k") == key
    assert await ledger.keys() == [key]
    await ledger.revoke_key("k")
    assert await ledger.key("k") == replace(key, revoked_at=1_000.0)


async def test_rotation(ledger: Ledger) -> None:
    """The successor is there at once, the old key ends at the time given, never later than it was to."""
    await ledger.add_key(ApiKey("old", "00", "theirs", grants=GRANTS))
    new = ApiKey("new", "11", "theirs", grants=GRANTS)
    await ledger.rotate_key("old", new, 1_500.0)
    assert await ledger.key("new") == new
    await ledger.rotate_key("old", ApiKey("newer", "22", "theirs"), 1_700.0)
    old = await ledger.key("old")
    assert old is not None
    assert old.expires_at == 1_500.0
    assert (old.is_open(1_499.0), old.is_open(1_500.0)) == (True, False)


async def test_only_a_key_that_opens_is_rotated(ledger: Ledger, clock: Clock) -> None:
    """Neither an unknown, a revoked nor an expired one; then no successor is stored."""
    with pytest.raises(UnknownKey):
        await ledger.rotate_key("nobody", ApiKey("new", "11", "n"), 2_000.0)
    await ledger.add_key(ApiKey("revoked", "00", "n"))
    await ledger.revoke_key("revoked")
    await ledger.add_key(ApiKey("expired", "00", "n", expires_at=clock.at))
    for key_id in ("revoked", "expired"):
        with pytest.raises(WrongState):
            await ledger.rotate_key(key_id, ApiKey("new", "11", "n"), 2_000.0)
    assert await ledger.key("new") is None


async def test_a_revocation_is_never_written_over(ledger: Ledger) -> None:
    """Revoked and rotated at the same moment, many times: whatever comes first, it is revoked after."""
    for n in range(8):
        await ledger.add_key(ApiKey(f"k{n}", "00", "n"))
        successor = ApiKey(f"s{n}", "11", "n")
        await asyncio.gather(
            ledger.rotate_key(f"k{n}", successor, 2_000.0),
            ledger.revoke_key(f"k{n}"),
            return_exceptions=True,
        )
        key = await ledger.key(f"k{n}")
        assert key is not None
        assert key.revoked_at is not None


async def test_draws_see_each_other(ledger: Ledger) -> None:
    """Of many at once exactly as many are served as there is; what is given back can be used again."""
    served = await asyncio.gather(*(ledger.draw("a", 3, 10) for _ in range(8)))
    assert sum(served) == 3
    assert await ledger.drawn("a") == 9
    assert not await ledger.draw("a", 2, 10)
    assert await ledger.draw("a", -4, 10)
    assert await ledger.draw("a", 5, 10)
    assert (await ledger.drawn("a"), await ledger.drawn("b")) == (10, 0)


async def test_a_new_period_begins_at_nothing(ledger: Ledger, clock: Clock) -> None:
    """What was used in an earlier one is forgotten."""
    assert await ledger.draw("a", 10, 10, every=60)
    assert not await ledger.draw("a", 1, 10, every=60)
    clock.at += 60
    assert await ledger.drawn("a", every=60) == 0
    assert await ledger.draw("a", 1, 10, every=60)
    assert await ledger.drawn("a", every=60) == 1


async def test_what_an_account_may_queue(ledger: Ledger) -> None:
    """One table at a time is counted; no more is taken while there are so many rows to do. Others may."""
    first = await ledger.submit(owned("acme", account="k"), most_queued=20)
    with pytest.raises(LimitReached, match="being counted"):
        await ledger.submit(owned("acme", "b.csv", "k"), most_queued=20)
    assert (await ledger.submit(owned("acme", account="k"), most_queued=20)).task == first.task
    (claim,) = await ledger.claim("w", 1)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(n) for n in range(2)])
    await ledger.planned(claim.task.id, claim.fence, totals(2))
    with pytest.raises(LimitReached, match="20 rows to do; it may queue 20"):
        await ledger.submit(owned("acme", "b.csv", "k"), most_queued=20)
    assert (await ledger.submit(owned("acme", "c.csv", "other"), most_queued=20)).fresh
    assert (await ledger.submit(owned("acme", "b.csv", "k"), most_queued=21)).fresh


async def test_of_submissions_at_once_one_enters_the_queue(ledger: Ledger) -> None:
    """Each sees the task of the one before it."""
    wishes = [ledger.submit(owned("acme", f"{n}.csv", "k"), most_queued=5) for n in range(6)]
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    assert sum(isinstance(answer, LimitReached) for answer in answers) == 5
    assert len((await ledger.tasks()).tasks) == 1
