"""One write comes in between what another reads and what it writes: all is as if they came one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import pytest

from rowvec.api_key import ApiKey
from rowvec.errors import RowvecError
from rowvec.ledgers.base import Ledger, Submitted
from rowvec.ledgers.dynamodb import DynamoLedger
from rowvec.ledgers.dynamodb.book import DynamoBook
from rowvec.ledgers.dynamodb.table import packed
from rowvec.ledgers.memory import MemoryLedger
from rowvec.model import ChunkFiles, Claim, Flag
from tests.contracts.dynamodb_audit import audit, items_of
from tests.contracts.ledger_kit import READ, Clock, new_table, plan, spec, totals, worker
from tests.servers.moto import Moto

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Scene:
    """A task, and the claims that `w` and `v` were given in it: by chunk number, None for the plan."""

    task_id: str
    claims: Mapping[int | None, Claim]

    def fence(self, number: int | None) -> int:
        return self.claims[number].fence


Move = Callable[[Ledger, Scene], Awaitable[object]]


async def planned_with(ledger: Ledger, chunks: int) -> Scene:
    """Chunks 0 and 1 are claimed by `w`; the others are ready."""
    (claim,) = await opened(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(number) for number in range(chunks)])
    await ledger.planned(claim.task.id, claim.fence, totals(chunks))
    held = await ledger.claim("w", 2)
    return Scene(claim.task.id, {each.chunk.plan.number: each for each in held if each.chunk})


async def while_planned(ledger: Ledger) -> Scene:
    """`w` plans; of the two chunks there are so far `v` has claimed one."""
    (claim,) = await opened(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(0), plan(1)])
    (chunk,) = await ledger.claim("v", 1)
    return Scene(claim.task.id, {None: claim, 0: chunk})


async def with_nothing_claimed(ledger: Ledger) -> Scene:
    """Three chunks are ready; nobody holds anything."""
    scene = await planned_with(ledger, 3)
    for number in (0, 1):
        await ledger.hand_back(scene.task_id, number, scene.fence(number), None, 0.0)
    return scene


async def failed(ledger: Ledger) -> Scene:
    """Its plan failed."""
    (claim,) = await opened(ledger)
    await ledger.fail(claim.task.id, claim.fence, "no")
    return Scene(claim.task.id, {None: claim})


async def opened(ledger: Ledger) -> list[Claim]:
    for name in ("w", "v"):
        await ledger.enlist(worker(name))
    await ledger.submit(spec())
    return await ledger.claim("w", 1)


def commit(number: int) -> Move:
    return lambda ledger, scene: ledger.commit(
        scene.task_id, number, scene.fence(number), READ, ChunkFiles("m")
    )


def wish(flag: Flag) -> Move:
    return lambda ledger, scene: ledger.flag(scene.task_id, flag)


def first_key(key_id: str) -> Move:
    return lambda ledger, scene: ledger.add_key(ApiKey(key_id, "00", "first"), only_if_none=True)


MOVES: dict[str, Move] = {
    "commit 0": commit(0),
    "commit 1": commit(1),
    "wait 1": lambda ledger, scene: ledger.hand_back(scene.task_id, 1, scene.fence(1), "busy", 5_000.0),
    "v claims": lambda ledger, scene: ledger.claim("v", 5),
    "w claims": lambda ledger, scene: ledger.claim("w", 1),
    "first key a": first_key("a"),
    "first key b": first_key("b"),
    "w beats": lambda ledger, scene: ledger.beat("w", 1),
    "pause": wish(Flag.PAUSE),
    "cancel": wish(Flag.CANCEL),
    "retry": wish(Flag.RETRY),
    "bury w": lambda ledger, scene: ledger.bury(["w"]),
    "submit": lambda ledger, scene: ledger.submit(spec()),
    "append": lambda ledger, scene: ledger.append_chunks(
        scene.task_id, scene.fence(None), [plan(1), plan(2)]
    ),
    "planned": lambda ledger, scene: ledger.planned(scene.task_id, scene.fence(None), totals(2)),
}
SCENES: dict[str, tuple[Callable[[Ledger], Awaitable[Scene]], list[str]]] = {
    "at work": (
        partial(planned_with, chunks=4),
        ["commit 0", "wait 1", "v claims", "w claims", "cancel", "bury w"],
    ),
    "at its end": (
        partial(planned_with, chunks=2),
        ["commit 0", "commit 1", "cancel", "submit"],
    ),
    "before it is at work": (with_nothing_claimed, ["w claims", "w beats", "bury w"]),
    "failed": (failed, ["submit", "retry"]),
    "while it waits": (failed, ["first key a", "first key b"]),
    "while it is planned": (
        while_planned,
        ["append", "planned", "commit 0", "v claims", "pause"],
    ),
}
RACES = [
    pytest.param(scene, first, second, id=f"{scene}: {second} while {first}")
    for scene, (_, moves) in SCENES.items()
    for first, second in product(moves, moves)
]


class Interrupted(DynamoLedger):
    """Something else happens before the first transaction lands."""

    interruption: Callable[[], None] | None = None

    def _book(self) -> DynamoBook:
        book = super()._book()
        land = book.land

        def interrupted() -> None:
            interruption, self.interruption = self.interruption, None
            if interruption and book._draft.actions():
                interruption()
            land()

        book.land = interrupted  # type: ignore[method-assign]
        return book


async def outcome(move: Move, ledger: Ledger, scene: Scene) -> object:
    """What a move answered, without what differs from ledger to ledger."""
    try:
        answer: Any = await move(ledger, scene)
    except RowvecError as error:
        return type(error).__name__
    if isinstance(answer, list):
        return [(claim.kind, claim.fence, claim.chunk and claim.chunk.plan.number) for claim in answer]
    if isinstance(answer, Submitted):
        return answer.fresh
    return answer if isinstance(answer, int) else type(answer).__name__


async def standing(ledger: Ledger, scene: Scene) -> object:
    """How things are with the task, its chunks, the workers, how many tasks, and which keys there are."""
    task = await ledger.task(scene.task_id)
    fields = ("state", "hold", "counts", "planned", "rows_planned", "chunks_total", "chunks_done", "error")
    shown = [getattr(task, name) for name in (*fields, "chunks_failed", "worker", "fence", "version")]
    chunks = [
        (c.plan, c.state, c.worker, c.fence, c.attempts, c.crashes, c.not_before)
        for c in await ledger.chunks(scene.task_id)
    ]
    alive = [each.id for each in await ledger.workers()]
    return shown, chunks, alive, len((await ledger.tasks()).tasks), await ledger.keys()


async def one_by_one(scene: str, *moves: str) -> tuple[list[object], object]:
    """Answers and standing when these moves come one after the other, in a ledger that does just that."""
    ledger = MemoryLedger(Clock())
    set_up = await SCENES[scene][0](ledger)
    answers = [await outcome(MOVES[move], ledger, set_up) for move in moves]
    return answers, await standing(ledger, set_up)


@dataclass(frozen=True)
class Stage:
    """A scene as items, to be laid out in a table of its own for each race."""

    scene: Scene
    items: list[dict[str, Any]]


_STAGES: dict[str, Stage] = {}


async def stage(name: str, moto: Moto) -> Stage:
    if name not in _STAGES:
        ledger = DynamoLedger(new_table(), moto.settings, clock=Clock(), monotonic=Clock())
        await ledger.ready()
        scene = await SCENES[name][0](ledger)
        _STAGES[name] = Stage(scene, items_of(ledger._table))
        await ledger.close()
    return _STAGES[name]


@pytest.fixture
async def table(moto: Moto) -> AsyncIterator[str]:
    address = new_table()
    maker = DynamoLedger(address, moto.settings)
    await maker.ready()
    yield address
    await maker.close()


def lay_out(set_up: Stage, moto: Moto, address: str) -> None:
    puts = [{"PutRequest": {"Item": packed(item)}} for item in set_up.items]
    name = address.partition("://")[2]
    assert len(puts) <= 25
    moto.client("dynamodb").batch_write_item(RequestItems={name: puts})


@pytest.mark.parametrize(("scene", "first", "second"), RACES)
async def test_writes_that_meet(moto: Moto, table: str, scene: str, first: str, second: str) -> None:
    """Whatever comes in between, answers and standing are those of one order or the other."""
    set_up = await stage(scene, moto)
    lay_out(set_up, moto, table)
    ledger, other = (
        kind(table, moto.settings, clock=Clock(), monotonic=Clock()) for kind in (Interrupted, DynamoLedger)
    )
    answers: list[object] = []

    def interrupt() -> None:
        answers.append(asyncio.run(outcome(MOVES[second], other, set_up.scene)))

    ledger.interruption = interrupt  # type: ignore[attr-defined]
    answers.insert(0, await outcome(MOVES[first], ledger, set_up.scene))
    if len(answers) == 1:
        await asyncio.to_thread(interrupt)
    seen = answers, await standing(ledger, set_up.scene)
    audit(ledger)
    for each in (ledger, other):
        await each.close()
    backwards, stood = await one_by_one(scene, second, first)
    assert seen in [await one_by_one(scene, first, second), (backwards[::-1], stood)]
