"""Which errors are tried again, and how the waits grow."""

from dataclasses import replace
from typing import cast

import pytest

from rowvec.errors import InputRefused, RateLimited, Unavailable
from rowvec.lease import Heartbeat, Lease
from rowvec.ledgers.memory import MemoryLedger
from rowvec.model import Claim, Task, TaskState, WorkKind
from rowvec.retry import RetryPolicy, outlast
from rowvec.waits import Waits
from tests.contracts.ledger_kit import spec
from tests.virtual_time import run


def test_an_unknown_error_is_given_up_after_the_last_attempt() -> None:
    """A fault that repeats ends in a failed chunk, not in an endless loop."""
    policy = RetryPolicy(max_attempts=3)
    assert policy.wait(2, ValueError()) is not None
    assert policy.wait(3, ValueError()) is None


def test_weather_is_waited_out() -> None:
    """A provider that is down for long never makes a chunk fail."""
    assert RetryPolicy(max_attempts=3).wait(500, Unavailable("down")) is not None


def test_waits_double_up_to_the_cap() -> None:
    """Waits grow by two and stay bounded, with or without jitter."""
    policy = RetryPolicy(base=1, cap=60)
    waits = [policy.wait(n, Unavailable("down"), jitter=1.0) for n in range(1, 9)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert policy.wait(8, Unavailable("down"), jitter=0.0) == 30


def test_the_provider_s_own_word_is_kept() -> None:
    """A wait that the provider names is the wait that is used."""
    assert RetryPolicy().wait(1, RateLimited("slow", retry_after=0.2)) == 0.2


class _Weather:
    """A call that fails with these errors, one after the other, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def _lease(seconds: float) -> Lease:
    heartbeat = Heartbeat(60.0)
    heartbeat.renew(seconds - 60.0)
    return Lease(MemoryLedger(), "w", Claim(WorkKind.CHUNK, cast(Task, None), 1), heartbeat)


def test_weather_is_sat_out_with_the_work_in_hand() -> None:
    """What was paid for is not thrown away because a store was away for a while."""
    call = _Weather(*[Unavailable("away")] * 12)
    assert run(outlast(_lease(10_000), call)) == "done"
    assert call.calls == 13


def test_what_is_waited_for_is_told_until_it_has_passed() -> None:
    """Whoever looks at the task reads which part is away; a 429 is no weather to speak of."""
    task = Task("some-task", spec(), TaskState.PROCESSING)
    lease = replace(_lease(10_000), claim=Claim(WorkKind.CHUNK, task, 1))
    errors: list[Exception] = [RateLimited("slow"), Unavailable("The store is away.")]
    seen = []

    async def call() -> None:
        seen.append(lease.waits.by_task())
        if errors:
            raise errors.pop(0)

    run(outlast(lease, call))
    assert seen == [{}, {}, {"some-task": "The store is away."}]
    assert lease.waits.by_task() == {}


def test_what_was_handed_back_is_told_until_it_is_tried_again() -> None:
    """Whoever tries it then has words of its own for what it finds."""
    waits = Waits()
    claim = Claim(WorkKind.CHUNK, Task("some-task", spec(), TaskState.PROCESSING), 1)
    waits.handed_back(claim, "The store is away.", 3_600.0)
    assert waits.by_task() == {"some-task": "The store is away."}
    waits.handed_back(claim, "The store is away.", 0.0)
    assert waits.by_task() == {}


def test_nothing_begins_when_the_lease_ends() -> None:
    """A worker whose beats do not get through stops trying before another takes its work."""
    call = _Weather(*[Unavailable("away")] * 100)
    with pytest.raises(Unavailable):
        run(outlast(_lease(30), call))
    assert 2 < call.calls < 20


def test_patience_ends() -> None:
    """Weather that lasts is told to the ledger at last."""
    with pytest.raises(Unavailable):
        run(outlast(_lease(1e9), _Weather(*[Unavailable("away")] * 1000)))


def test_other_errors_are_not_repeated() -> None:
    """Only weather is tried again in place."""
    call = _Weather(InputRefused("no"))
    with pytest.raises(InputRefused):
        run(outlast(_lease(60), call))
    assert call.calls == 1
