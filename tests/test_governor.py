"""The budget is used to the full, never exceeded, and shared by all who wait."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.governor import Governor, Pace
from tests.virtual_time import run


async def _times(governor: Governor, calls: int, tokens: int = 0) -> list[float]:
    loop = asyncio.get_running_loop()

    async def one() -> float:
        await governor.admit(tokens)
        return loop.time()

    return sorted(await asyncio.gather(*(one() for _ in range(calls))))


def test_without_limits_nobody_waits() -> None:
    """A governor without rates admits everything at once."""
    assert run(_times(Governor(), 1000, 10**6))[-1] == 0.0


def test_requests_are_spread_at_the_rate() -> None:
    """After the first second's burst, requests come at exactly the rate."""
    times = run(_times(Governor(requests_per_second=20), 120))
    assert times[-1] == pytest.approx(5.0, abs=0.06)


def test_tokens_bind_when_they_are_scarcer_than_requests() -> None:
    """The scarcer of the two budgets paces: 60,000 tokens a minute are 1,000 a second."""
    times = run(_times(Governor(1000, 60_000), 24, tokens=500))
    assert times[-1] == pytest.approx(8.0, abs=0.01)


def test_a_pause_holds_everyone() -> None:
    """After a 429 nobody calls before the pause is over, those already waiting included."""

    async def scenario() -> list[float]:
        governor = Governor(requests_per_second=10)
        waiting = asyncio.create_task(_times(governor, 30))
        await asyncio.sleep(1.0)
        governor.pause(7.0)
        return await waiting

    times = run(scenario())
    assert not [moment for moment in times if 1.0 < moment < 8.0]
    assert times[-1] >= 8.0


def test_a_refund_is_spent_by_the_next() -> None:
    """Tokens given back need not be waited for again."""

    async def scenario() -> float:
        governor = Governor(tokens_per_minute=60_000)
        await governor.admit(4000)
        governor.refund(4000)
        await governor.admit(4000)
        return asyncio.get_running_loop().time()

    assert run(scenario()) == pytest.approx(0.0, abs=0.01)


@given(st.lists(st.floats(0.1, 50), min_size=1, max_size=200), st.floats(1, 100))
def test_no_second_exceeds_rate_and_burst(amounts: list[float], rate: float) -> None:
    """Whatever is asked, no window of a second admits more than the rate, one burst and one request."""
    pace = Pace(rate, burst=1.0)
    admitted = [(pace.reserve(amount, 0.0), amount) for amount in amounts]
    for start, _ in admitted:
        window = sum(amount for moment, amount in admitted if start <= moment < start + 1)
        assert window <= 2 * rate + max(amounts) + 1e-6
