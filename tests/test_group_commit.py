"""What many callers of one writer may rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rowvec.errors import Unavailable
from rowvec.vectorstores.lancedb.group_commit import GroupCommit

pytestmark = pytest.mark.anyio


class Writer:
    """Notes the groups it is given and finishes one whenever it is told to."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.begun = asyncio.Semaphore(0)
        self.finish = asyncio.Semaphore(0)
        self.failing: set[str] = set()

    async def write(self, items: Sequence[str]) -> None:
        self.groups.append(list(items))
        self.begun.release()
        await self.finish.acquire()
        if self.failing & set(items):
            raise Unavailable("the disk is away")


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def commit(writer: Writer) -> GroupCommit[str]:
    """Four items of one letter fill a group; a longer item takes more."""
    return GroupCommit(writer.write, lambda item: len(item) / 4)


async def started(commit: GroupCommit[str], *items: str) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(commit.submit(item)) for item in items]
    await asyncio.sleep(0)
    return tasks


async def test_what_waits_during_a_write_is_the_next_group(writer: Writer, commit: GroupCommit[str]) -> None:
    """The first goes alone and at once; all that came meanwhile goes together, in its order."""
    tasks = await started(commit, "a")
    await writer.begun.acquire()
    tasks += await started(commit, "b", "c", "d")
    writer.finish.release()
    await writer.begun.acquire()
    assert [task.done() for task in tasks] == [True, False, False, False]
    writer.finish.release()
    await asyncio.gather(*tasks)
    assert writer.groups == [["a"], ["b", "c", "d"]]


async def test_a_group_is_at_most_full(writer: Writer, commit: GroupCommit[str]) -> None:
    """A group takes no more than fits, and an item too large for any goes alone."""
    tasks = await started(commit, "a")
    await writer.begun.acquire()
    tasks += await started(commit, "bb", "cc", "d", "eeeeeeeee", "f")
    for _ in range(5):
        writer.finish.release()
    await asyncio.gather(*tasks)
    assert writer.groups == [["a"], ["bb", "cc"], ["d"], ["eeeeeeeee"], ["f"]]


async def test_an_error_reaches_its_group_only(writer: Writer, commit: GroupCommit[str]) -> None:
    """Every caller of the failed group gets the error, and the next group is written all the same."""
    writer.failing = {"c"}
    tasks = await started(commit, "a")
    await writer.begun.acquire()
    tasks += await started(commit, "b", "c", "dd", "e")
    for _ in range(3):
        writer.finish.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert writer.groups == [["a"], ["b", "c", "dd"], ["e"]]
    assert [type(result) for result in results] == [type(None)] + [Unavailable] * 3 + [type(None)]


async def test_a_cancelled_caller_takes_its_item_back(writer: Writer, commit: GroupCommit[str]) -> None:
    """Who goes away while waiting is not written; who goes away during the write harms nobody."""
    tasks = await started(commit, "a")
    await writer.begun.acquire()
    tasks += await started(commit, "b", "c")
    tasks[0].cancel()
    tasks[1].cancel()
    await asyncio.sleep(0)
    writer.finish.release()
    writer.finish.release()
    await tasks[2]
    assert writer.groups == [["a"], ["c"]]
    assert [task.cancelled() for task in tasks] == [True, True, False]


async def test_draining_waits_for_all(writer: Writer, commit: GroupCommit[str]) -> None:
    """After draining nothing is under way, and the writer can be used again."""
    tasks = await started(commit, "a", "b")
    for _ in range(3):
        writer.finish.release()
    await commit.drain()
    assert writer.groups == [["a", "b"]]
    await asyncio.gather(*tasks)
    await commit.submit("c")
    assert writer.groups[-1] == ["c"]


async def test_a_dying_writer_leaves_nobody_waiting(commit: GroupCommit[str], writer: Writer) -> None:
    """When the writer itself is cancelled, callers in its group and behind it are let go."""
    tasks = await started(commit, "a")
    await writer.begun.acquire()
    tasks += await started(commit, "b")
    assert commit._writer is not None
    commit._writer.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
