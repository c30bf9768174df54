"""A turn at a time: others wait a little, then they are told to come again."""

from __future__ import annotations

import asyncio

import pytest

from app.api.errors import DoorRefusal
from app.api.turns import COME_AGAIN_SECONDS, Turns
from tests.worker_kit import PATIENCE

pytestmark = pytest.mark.anyio


async def test_turns_come_one_after_another_in_order() -> None:
    """Never two at once, also where one fails."""
    turns = Turns("something else", PATIENCE)
    events: list[str] = []

    async def work(name: str) -> None:
        async with turns.taken():
            events.append(f"{name} begins")
            await asyncio.sleep(0)
            events.append(f"{name} ends")
            if name == "b":
                raise ZeroDivisionError

    ended = await asyncio.gather(*map(work, "abc"), return_exceptions=True)
    assert events == [f"{name} {what}" for name in "abc" for what in ("begins", "ends")]
    assert [type(one) for one in ended] == [type(None), ZeroDivisionError, type(None)]


async def test_whose_turn_does_not_come_is_told_when_to_ask_again() -> None:
    """429 with Retry-After, and words that say what is being done."""
    turns = Turns("the scan of a table", 0.0)
    async with turns.taken():
        with pytest.raises(DoorRefusal, match="busy with the scan of a table") as refused:
            async with turns.taken():
                raise AssertionError("two at once")
    assert (refused.value.status_code, refused.value.headers) == (
        429,
        {"Retry-After": str(COME_AGAIN_SECONDS)},
    )


async def test_who_leaves_while_waiting_takes_no_turn() -> None:
    """The next one gets it."""
    turns = Turns("something else", PATIENCE)

    async def wait() -> None:
        async with turns.taken():
            raise AssertionError("it has left")

    async with turns.taken():
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    async with asyncio.timeout(PATIENCE), turns.taken():
        pass
