"""Which errors are tried again, and how the waits grow."""

from rowvec.errors import RateLimited, Unavailable
from rowvec.retry import RetryPolicy


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
