"""The budget is used to the full, never exceeded, and shared by all who wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.budget import Pace
from rowvec.errors import (
    CredentialsRefused,
    InputRefused,
    PauseNeeded,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    RowvecError,
    Unavailable,
)
from rowvec.governor import Governor
from rowvec.rates import Rates
from tests.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


async def call(
    governor: Governor, tokens: int = 0, cost: int | None = None, takes: float = 0.0,
    rates: Rates | None = None, error: RowvecError | None = None, seen: int | None = None,
) -> float:  # fmt: skip
    """When a request went out that `takes` so long and ends like this."""
    async with governor.turn(tokens, seen) as turn:
        sent = now()
        await asyncio.sleep(takes)
        if error:
            raise error
        await turn.settle(tokens if cost is None else cost, rates)
    return sent


async def times(governor: Governor, calls: int, tokens: int = 0, takes: float = 0.0) -> list[float]:
    return sorted(await asyncio.gather(*(call(governor, tokens, takes=takes) for _ in range(calls))))


def test_without_limits_nobody_waits() -> None:
    """A governor without rates lets everything through at once."""
    assert run(times(Governor(), 1000, 10**6, takes=1.0))[-1] == 0.0


def test_requests_are_spread_at_the_rate() -> None:
    """After the burst, which is a little less than a provider allows, requests come at exactly the rate."""
    sent = run(times(Governor(requests_per_second=20), 115))
    assert sent[14] == 0.0 and sent[-1] == pytest.approx(5.0, abs=0.001)


def test_a_slow_rate_lets_the_first_one_go() -> None:
    """However slow: nobody waits for what was free all along."""
    assert run(times(Governor(requests_per_second=0.1), 2)) == pytest.approx([0.0, 10.0])


def test_tokens_bind_when_they_are_scarcer_than_requests() -> None:
    """The scarcer of the two budgets paces: 60,000 tokens a minute are 1,000 a second."""
    sent = run(times(Governor(1000, 60_000), 23, tokens=500))
    assert sent[6] == 0.0 and sent[-1] == pytest.approx(8.0, abs=0.001)


def test_who_came_first_goes_first() -> None:
    """A large request is not overtaken for ever by small ones."""

    async def scenario() -> list[str]:
        governor, order = Governor(tokens_per_minute=60_000), []

        async def one(name: str, tokens: int) -> None:
            await call(governor, tokens)
            order.append(name)

        await asyncio.gather(one("a", 3_500), one("large", 3_000), *(one("small", 1) for _ in range(9)))
        return order

    assert run(scenario())[:2] == ["a", "large"]


def test_a_pause_holds_everyone_and_then_nobody_rushes() -> None:
    """After a 429 nobody calls before the pause is over, and then at the rate: nothing is in hand."""

    async def scenario() -> list[float]:
        governor = Governor(requests_per_second=10)
        waiting = asyncio.create_task(times(governor, 30))
        await asyncio.sleep(1.0)
        await governor.pause(7.0)
        return await waiting

    sent = run(scenario())
    assert not [moment for moment in sent if 1.01 < moment < 8.0]
    after = [moment for moment in sent if moment >= 8.0]
    assert len(after) > 10 and after[-1] - after[1] == pytest.approx((len(after) - 2) / 10, abs=0.001)


def test_a_429_pauses_all_and_costs_nothing() -> None:
    """For as long as the provider says, or five seconds; what was not taken is given back."""

    async def scenario() -> tuple[float, float]:
        governor = Governor(tokens_per_minute=60_000)
        with pytest.raises(RateLimited):
            await call(governor, 3_500, error=RateLimited("slow down", 2.0))
        first = await call(governor, 1)
        with pytest.raises(RateLimited):
            await call(governor, 1, error=RateLimited("slow down"))
        return first, await call(governor, 1)

    first, second = run(scenario())
    assert first == pytest.approx(2.5, abs=0.01)
    assert second == pytest.approx(first + 5.5, abs=0.01)


def test_what_was_not_used_is_spent_by_the_next() -> None:
    """An estimate that was too high need not be waited for; one that was too low is made up for."""

    async def scenario(cost: int) -> float:
        governor = Governor(tokens_per_minute=60_000)
        await call(governor, 3_500, cost)
        return await call(governor, 1_000)

    assert run(scenario(2_500)) == pytest.approx(0.0, abs=0.001)
    assert run(scenario(3_500)) == pytest.approx(1.0, abs=0.001)
    assert run(scenario(5_500)) == pytest.approx(3.0, abs=0.001)


def test_who_gives_up_waiting_frees_his_place() -> None:
    """A cancelled caller takes nothing out of the budget, and does not hold up the line."""

    async def scenario() -> float:
        governor = Governor(tokens_per_minute=60_000)
        await call(governor, 3_500)
        waiting = [asyncio.create_task(call(governor, 3_000)) for _ in range(3)]
        await asyncio.sleep(0.5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return await call(governor, 1_000)

    assert run(scenario()) == pytest.approx(1.0, abs=0.001)


def test_a_request_too_large_costs_nothing() -> None:
    """The provider counts it against nobody."""

    async def scenario() -> float:
        governor = Governor(tokens_per_minute=60_000)
        with pytest.raises(RequestTooLarge):
            await call(governor, 3_500, error=RequestTooLarge("halve it"))
        return await call(governor, 3_500)

    assert run(scenario()) == pytest.approx(0.0, abs=0.001)


def test_what_is_not_known_is_learned_from_one_request() -> None:
    """It goes alone; the others wait for its answer and are then paced by what it told, itself counted in."""

    async def scenario() -> list[float]:
        governor = Governor(learns=True)
        assert governor.request_tokens() == 40_000
        told = Rates(tokens_per_minute=60_000)
        others = (call(governor, 500, rates=told) for _ in range(9))
        sent = await asyncio.gather(call(governor, 500, takes=1.0, rates=told), *others)
        assert governor.request_tokens() == 2_000
        return sorted(sent)

    assert run(scenario()) == pytest.approx([0.0, *[1.0] * 6, 1.5, 2.0, 2.5], abs=0.001)


def test_a_provider_that_tells_nothing_is_not_waited_for_twice() -> None:
    """After one answer without rates there is no limit that is known."""

    async def scenario() -> list[float]:
        governor = Governor(learns=True)
        sent = await times(governor, 4, 500, takes=1.0)
        assert governor.request_tokens() is None
        return sent

    assert run(scenario()) == [0.0, 1.0, 1.0, 1.0]


def test_a_first_one_that_fails_is_followed_by_another() -> None:
    """Nobody is left waiting."""

    async def scenario() -> list[float]:
        governor = Governor(learns=True)
        with pytest.raises(Unavailable):
            await call(governor, takes=1.0, error=Unavailable("away"))
        with pytest.raises(InputRefused):
            await call(governor, takes=1.0, error=InputRefused("no"))
        return await times(governor, 3, takes=1.0)

    assert run(scenario()) == [2.0, 3.0, 3.0]


@pytest.mark.parametrize("error", [QuotaExhausted("no money"), CredentialsRefused("no key")])
def test_a_refused_account_stops_all_who_began_before(error: PauseNeeded) -> None:
    """Who waits, or comes back for more, is told the same and sends nothing."""

    async def scenario() -> tuple[int, list[BaseException | float]]:
        governor = Governor(requests_per_second=1)
        seen = governor.refusals
        waiting = [asyncio.create_task(call(governor, seen=seen)) for _ in range(20)]
        await asyncio.sleep(0)
        with suppress(PauseNeeded):
            await call(governor, error=error)
        results = await asyncio.gather(*waiting, call(governor, seen=seen), return_exceptions=True)
        return sum(isinstance(result, float) for result in results), results

    sent, results = run(scenario())
    told = [result for result in results if isinstance(result, PauseNeeded)]
    assert sent < len(results) and sent + len(told) == len(results)
    assert {(type(result), result.message) for result in told} == {(type(error), error.message)}


def test_after_a_refusal_one_asks_for_all() -> None:
    """Those who begin afterwards wait for the first of them: one request finds out, not twenty."""

    async def scenario() -> tuple[list[object], list[float]]:
        governor = Governor()
        with suppress(QuotaExhausted):
            await call(governor, error=QuotaExhausted("no money"))
        sent = []

        async def later(error: RowvecError | None) -> None:
            sent.append(await call(governor, takes=1.0, error=error, seen=1))

        refused = [later(QuotaExhausted("still none")) for _ in range(20)]
        first = await asyncio.gather(*refused, return_exceptions=True)
        assert now() == 1.0 and governor.refusals == 2
        began = governor.refusals
        well = [call(governor, takes=1.0, seen=began) for _ in range(20)]
        return list(first), sorted(await asyncio.gather(*well))

    first, sent = run(scenario())
    assert [type(result) for result in first] == [QuotaExhausted] * 20
    assert sent == [1.0, *[2.0] * 19]


def test_a_late_answer_does_not_make_a_refused_account_sure() -> None:
    """What was sent before the refusal may still be answered well afterwards."""

    async def scenario() -> list[float]:
        governor = Governor()
        early = asyncio.create_task(call(governor, takes=2.0))
        await asyncio.sleep(1.0)
        with suppress(QuotaExhausted):
            await call(governor, error=QuotaExhausted("no money"))
        await early
        return await times(governor, 3, takes=1.0)

    assert run(scenario()) == [2.0, 3.0, 3.0]


SIZES = [
    (None, None, None), (20, None, None), (20, 5_000_000, 41_667), (2, 600_000, 10_000),
    (0.5, 600_000, 20_000), (20, 120_000, 2_000), (20, 30_000, 1_000), (None, 60, 2),
]  # fmt: skip


@pytest.mark.parametrize(("requests", "tokens", "most"), SIZES)
def test_requests_are_sized_from_both_budgets(
    requests: float | None, tokens: float | None, most: int | None
) -> None:
    """Half a second of tokens; more where requests are scarce or tokens few, but never over two seconds."""
    assert Governor(requests, tokens).request_tokens() == most


def test_the_rates_that_are_told_replace_the_old_ones() -> None:
    """Also later; what was used stays used, and a rate that is not told stays as it is."""

    async def scenario() -> list[float]:
        governor = Governor(requests_per_second=1000, tokens_per_minute=60_000)
        await call(governor, 3_500, rates=Rates(tokens_per_minute=120_000))
        assert governor.least_seconds(1, 120_000) == 60.0
        assert governor.least_seconds(100_000, 1) == 100.0
        return await times(governor, 3, 2_000)

    assert run(scenario()) == pytest.approx([1.0, 2.0, 3.0], abs=0.001)


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=200), st.floats(1, 100))
def test_no_second_exceeds_rate_and_burst(amounts: list[float], rate: float) -> None:
    """Whatever is asked, no window of a second admits more than the rate, one burst and one request."""
    pace = Pace(rate, burst=1.0)
    admitted = [(pace.reserve(amount, 0.0), amount) for amount in amounts]
    for start, _ in admitted:
        window = sum(amount for moment, amount in admitted if start <= moment < start + 1)
        assert window <= 2 * rate + max(amounts) + 1e-6
