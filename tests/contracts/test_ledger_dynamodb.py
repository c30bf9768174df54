"""What the DynamoDB ledger promises beyond the contract: steps, clocks, hosts side by side, and its cost.

The server is moto's, which is asked one call at a time: with several at once it loses writes (of 200
additions from eight threads 199 arrived), and it puts the whole table back to what it was before a
transaction that is cancelled.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.context
import multiprocessing.queues
import multiprocessing.synchronize
import operator
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from rowvec.api_key import ApiKey
from rowvec.backends import load
from rowvec.errors import InvalidRequest, LeaseLost, NotConfigured, RateLimited
from rowvec.ledgers import TABLE
from rowvec.ledgers.dynamodb import DynamoLedger
from rowvec.ledgers.dynamodb.chunks import chunk_item, place_of
from rowvec.ledgers.dynamodb.keys import task_key
from rowvec.ledgers.dynamodb.ledger import APPEND
from rowvec.ledgers.dynamodb.record import Record
from rowvec.ledgers.dynamodb.schema import definition
from rowvec.ledgers.dynamodb.table import Table, packed
from rowvec.model import Chunk, ChunkFiles, ChunkState, Counts, Flag, Task, TaskState, WorkKind
from tests.contracts.dynamodb_audit import audit
from tests.contracts.ledger_kit import (
    READ,
    ROWS,
    Clock,
    new_table,
    number_of,
    plan,
    plan_claim,
    planned_task,
    spec,
    totals,
    worker,
)
from tests.servers.between import Between, Hold, Refuse, between
from tests.servers.moto import Moto

pytestmark = pytest.mark.anyio

MANY = 34
"""Pieces of work that take several transactions to take back."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wire(moto: Moto) -> Iterator[Between]:
    with between(moto.url) as there:
        yield there


@pytest.fixture
async def ledger(moto: Moto, wire: Between, clock: Clock) -> AsyncIterator[DynamoLedger]:
    """Ready, with the worker `w`; all it asks goes over `wire`."""
    made = DynamoLedger(new_table(), through(wire, moto), clock=clock, monotonic=clock)
    await made.ready()
    await made.enlist(worker("w"))
    yield made
    await made.close()


def through(wire: Between, moto: Moto) -> Mapping[str, str]:
    return {**moto.settings, "AWS_ENDPOINT_URL": wire.url}


def beside(ledger: DynamoLedger, moto: Moto, **clocks: Any) -> DynamoLedger:
    """Another process's ledger on the same table."""
    return DynamoLedger(f"dynamodb://{ledger._table.name}", moto.settings, **clocks)


# The table


async def test_it_is_in_the_table(moto: Moto) -> None:
    """It opens by its line in the table of ledgers, without asking anybody."""
    backend = load("ledger", TABLE, "dynamodb")
    opened = backend.open("dynamodb://some-table", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    await opened.close()
    assert isinstance(opened, DynamoLedger)


@pytest.mark.parametrize(
    "url", ["dynamodb://", "dynamodb://ab", "dynamodb://a table", "dynamodb:///table", "sqlite://table"]
)
async def test_address_that_is_no_table(url: str) -> None:
    """Anything but the name of a table is refused when the ledger is opened."""
    with pytest.raises(NotConfigured, match="dynamodb://TABLE"):
        DynamoLedger.open(url, {})


async def test_several_get_ready_at_once(moto: Moto) -> None:
    """Four processes may create the same table at the same moment, paid for by the request."""
    address = new_table()
    ledgers = [DynamoLedger(address, moto.settings) for _ in range(4)]
    await asyncio.gather(*(ledger.ready() for ledger in ledgers))
    for ledger in ledgers:
        await ledger.ping()
        await ledger.close()
    described = moto.client("dynamodb").describe_table(TableName=address.partition("://")[2])["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert len(described["LocalSecondaryIndexes"]) == 3


async def test_a_table_of_another_program(moto: Moto) -> None:
    """A table whose keys or indexes are others is never written to."""
    name = new_table().partition("://")[2]
    foreign = definition(name)
    foreign["LocalSecondaryIndexes"] = foreign["LocalSecondaryIndexes"][:1]
    foreign["AttributeDefinitions"] = foreign["AttributeDefinitions"][:3]
    moto.client("dynamodb").create_table(**foreign)
    ledger = DynamoLedger(f"dynamodb://{name}", moto.settings)
    with pytest.raises(NotConfigured, match=f"'{name}' is not a ledger's"):
        await ledger.ready()
    await ledger.close()


async def test_record_outlives_its_ledger(ledger: DynamoLedger, moto: Moto) -> None:
    """What one process wrote, the next one finds unchanged."""
    task = await planned_task(ledger, 2)
    (claim,) = await ledger.claim("w", 1)
    await ledger.commit(task.id, 0, claim.fence, READ, ChunkFiles("m"))
    expected = (await ledger.task(task.id), await ledger.chunks(task.id), await ledger.workers())
    second = beside(ledger, moto)
    assert (await second.task(task.id), await second.chunks(task.id), await second.workers()) == expected
    await second.close()


async def test_a_spec_of_many_columns(ledger: DynamoLedger, moto: Moto) -> None:
    """A long header is kept packed; one that no item could hold is refused before anything is written."""
    wide = replace(spec("wide"), header=tuple(f"the column of number {n}" for n in range(20_000)))
    task = (await ledger.submit(wide)).task
    second = beside(ledger, moto)
    assert (await second.task(task.id)).spec == wide
    await second.close()
    random = replace(spec("random"), header=tuple(f"{hash((n, 'x')):x}" for n in range(60_000)))
    with pytest.raises(InvalidRequest, match="fewer or shorter columns"):
        await ledger.submit(random)
    assert len((await ledger.tasks()).tasks) == 1


# Hosts side by side


async def test_races_between_ledgers(ledger: DynamoLedger, moto: Moto) -> None:
    """Two ledgers on one table agree on one fresh task, one first key, one owner of each chunk."""
    ledgers = (ledger, beside(ledger, moto))
    for round in range(3):
        answers = await asyncio.gather(*(each.submit(spec(f"{round}")) for each in ledgers * 2))
        assert sum(answer.fresh for answer in answers) == 1
        assert len({answer.task.id for answer in answers}) == 1
    keys = [each.add_key(ApiKey(f"{n}", "00", "k"), only_if_none=True) for n, each in enumerate(ledgers)]
    assert sum(await asyncio.gather(*keys)) == 1
    await asyncio.gather(*(each.enlist(worker(f"{n}")) for n, each in enumerate(ledgers)))
    claims = await asyncio.gather(*(each.claim(f"{n}", 3) for n, each in enumerate(ledgers)))
    assert Counter(claim.task.id for many in claims for claim in many).most_common(1)[0][1] == 1
    await ledgers[1].close()
    audit(ledger)


def work_alone(
    url: str,
    settings: Mapping[str, str],
    name: str,
    barrier: multiprocessing.synchronize.Barrier,
    taken: multiprocessing.queues.Queue[list[int]],
) -> None:
    """A process that claims and commits until nothing is left, and says which chunks it took."""

    async def run() -> list[int]:
        ledger, mine = DynamoLedger(url, settings), []
        await ledger.enlist(worker(name))
        while chunks := [c for c in await ledger.claim(name, 3) if c.kind is WorkKind.CHUNK]:
            mine += [number_of(claim) for claim in chunks]
            await asyncio.gather(
                *(ledger.commit(c.task.id, number_of(c), c.fence, READ, ChunkFiles()) for c in chunks)
            )
        await ledger.close()
        return mine

    barrier.wait(60)
    taken.put(asyncio.run(run()))


async def test_processes_share_the_work(ledger: DynamoLedger, moto: Moto) -> None:
    """Two processes never get the same chunk; their commits, several at once, add up and end the task."""
    many = 20
    task = await planned_task(ledger, many)
    spawn = multiprocessing.get_context("spawn")
    barrier, taken = spawn.Barrier(2), spawn.Queue()
    address = f"dynamodb://{ledger._table.name}"
    started = [
        spawn.Process(target=work_alone, args=(address, moto.settings, name, barrier, taken)) for name in "ab"
    ]
    assert await asyncio.to_thread(run_all, started) == [0, 0]
    numbers = [number for _ in started for number in taken.get(timeout=10)]
    assert sorted(numbers) == list(range(many))
    ended = await ledger.task(task.id)
    assert (ended.state, ended.chunks_done) == (TaskState.SETTLING, many)
    assert ended.counts == sum([READ] * many, Counts())
    audit(ledger)


def run_all(processes: list[multiprocessing.context.SpawnProcess]) -> list[int | None]:
    """Exit codes; a process that hangs is ended and has a code that is not 0."""
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


# What takes several transactions


async def test_append_that_broke_off(ledger: DynamoLedger, wire: Between) -> None:
    """Chunks appended in steps, with a throttle after the first, are there once after a repetition."""
    claim = await plan_claim(ledger)
    plans = [plan(number) for number in range(APPEND + 10)]
    wire.next("TransactWriteItems", None, *throttled())
    with pytest.raises(RateLimited):
        await ledger.append_chunks(claim.task.id, claim.fence, plans)
    assert (await ledger.task(claim.task.id)).chunks_total == APPEND
    await ledger.append_chunks(claim.task.id, claim.fence, plans)
    await ledger.planned(claim.task.id, claim.fence, totals(len(plans)))
    assert [chunk.plan for chunk in await ledger.chunks(claim.task.id)] == plans
    assert (await ledger.task(claim.task.id)).rows_planned == len(plans) * ROWS
    audit(ledger)


async def holding_many(ledger: DynamoLedger) -> Task:
    """A task of which `w` holds MANY chunks."""
    task = await planned_task(ledger, MANY)
    assert len(await ledger.claim("w", MANY)) == MANY
    return task


async def test_claim_of_much(ledger: DynamoLedger) -> None:
    """More than one transaction hands out is handed out all the same, lowest number first."""
    await planned_task(ledger, MANY)
    assert [number_of(claim) for claim in await ledger.claim("w", 2 * MANY)] == list(range(MANY))
    audit(ledger)


async def test_claim_that_broke_off(ledger: DynamoLedger, wire: Between) -> None:
    """What was handed out before the table was throttled is not lost."""
    await planned_task(ledger, MANY)
    wire.next("TransactWriteItems", None, *throttled())
    first = await ledger.claim("w", MANY)
    second = await ledger.claim("w", MANY)
    assert 0 < len(first) < MANY
    assert [number_of(claim) for claim in first + second] == list(range(MANY))


@pytest.mark.parametrize("leave", ["bury", "retire"])
async def test_leaving_that_broke_off(ledger: DynamoLedger, wire: Between, moto: Moto, leave: str) -> None:
    """A worker whose burial or retirement ended midway is no worker any more; a sweep takes back the rest."""
    task = await holding_many(ledger)
    wire.next("TransactWriteItems", None, *throttled())
    with pytest.raises(RateLimited):
        await (ledger.bury(["w"]) if leave == "bury" else ledger.retire("w"))
    audit(ledger)
    states = Counter(chunk.state for chunk in await ledger.chunks(task.id))
    assert states[ChunkState.READY] and states[ChunkState.CLAIMED]
    assert (await ledger.workers(), await ledger.beat("w", 1), await ledger.claim("w", 1)) == ([], False, [])

    second = beside(ledger, moto)
    assert await second.sweep(60) == states[ChunkState.CLAIMED]
    assert await second.sweep(60) == 0
    await second.close()
    chunks = await ledger.chunks(task.id)
    assert {chunk.state for chunk in chunks} == {ChunkState.READY}
    assert {chunk.crashes for chunk in chunks} <= {0, 1}
    audit(ledger)


async def test_a_worker_comes_back_while_it_is_buried(ledger: DynamoLedger, wire: Between) -> None:
    """Whoever enlists under a name whose burial broke off ends the burial first, and holds nothing."""
    task = await holding_many(ledger)
    wire.next("TransactWriteItems", None, *throttled())
    with pytest.raises(RateLimited):
        await ledger.bury(["w"])
    await ledger.enlist(worker("w"))
    assert {chunk.state for chunk in await ledger.chunks(task.id)} == {ChunkState.READY}
    assert len(await ledger.claim("w", 3)) == 3
    audit(ledger)


async def test_resume_and_retry_of_many_chunks(ledger: DynamoLedger, wire: Between, clock: Clock) -> None:
    """Ending the waits of many chunks, or trying them anew, is a single transaction of a few writes."""
    task = await holding_many(ledger)
    held = await ledger.chunks(task.id)
    some = MANY // 4
    for chunk in held[:some]:
        await ledger.hand_back(task.id, chunk.plan.number, chunk.fence, "busy", clock.at + 500)
    await ledger.flag(task.id, Flag.PAUSE)
    wire.forget()
    await ledger.flag(task.id, Flag.RESUME)
    assert [len(call["TransactItems"]) for call in wire.asked["TransactWriteItems"]] == [2]
    assert {chunk.not_before for chunk in await ledger.chunks(task.id)} == {0.0}
    claims = await ledger.claim("w", MANY)
    assert [number_of(claim) for claim in claims] == list(range(some))

    for chunk in await ledger.chunks(task.id):
        await ledger.give_up(task.id, chunk.plan.number, chunk.fence, "no")
    wire.forget()
    await ledger.flag(task.id, Flag.RETRY)
    assert [len(call["TransactItems"]) for call in wire.asked["TransactWriteItems"]] == [3]
    ready = await ledger.chunks(task.id, state=ChunkState.READY)
    assert [(c.plan.number, c.attempts, c.error) for c in ready] == [(n, 0, None) for n in range(MANY)]
    assert await ledger.chunks(task.id, state=ChunkState.FAILED) == []
    assert [number_of(claim) for claim in await ledger.claim("w", MANY)] == list(range(MANY))
    audit(ledger)


async def test_states_of_chunks_that_wait_or_failed(ledger: DynamoLedger, clock: Clock) -> None:
    """Listing by state merges, by number and with limits, what is kept in different places."""
    task = await planned_task(ledger, 6)
    claims = await ledger.claim("w", 5)
    await ledger.hand_back(task.id, 1, claims[1].fence, "busy", clock.at + 500)
    await ledger.hand_back(task.id, 3, claims[3].fence, "busy", clock.at + 5)
    await ledger.give_up(task.id, 4, claims[4].fence, "no")
    assert [c.plan.number for c in await ledger.chunks(task.id, state=ChunkState.READY)] == [1, 3, 5]
    assert [c.plan.number for c in await ledger.chunks(task.id, 1, 1, ChunkState.READY)] == [3]
    assert [c.plan.number for c in await ledger.chunks(task.id, 9, 3, ChunkState.FAILED)] == [4]
    assert [c.plan.number for c in await ledger.chunks(task.id, 2, -1, ChunkState.CLAIMED)] == [0, 2]


# Clocks


async def test_hosts_whose_clocks_differ(ledger: DynamoLedger, moto: Moto, clock: Clock) -> None:
    """A sweeper whose clock is days ahead takes nobody for dead whose beats it sees change."""
    await planned_task(ledger, 1)
    await ledger.claim("w", 1)
    stopwatch = Clock(0.0)
    ahead = beside(ledger, moto, clock=Clock(clock.at + 500_000), monotonic=stopwatch)
    for _ in range(3):
        assert await ahead.sweep(60) == 0
        stopwatch.at += 59
        await ledger.beat("w", 1)  # at the same instant of the worker's own clock, which stands still
    assert [each.id for each in await ahead.workers()] == ["w"]
    await ahead.close()


async def test_a_beat_that_stands_still(ledger: DynamoLedger, moto: Moto) -> None:
    """A worker is dead once a sweeper saw the same beat for longer than the lease, by its own stopwatch."""
    await planned_task(ledger, 1)
    await ledger.claim("w", 1)
    stopwatch = Clock(7_000.0)
    sweeper = beside(ledger, moto, monotonic=stopwatch)
    assert await sweeper.sweep(60) == 0
    stopwatch.at += 60
    assert await sweeper.sweep(60) == 0
    await ledger.beat("w", 1)
    stopwatch.at += 0.5
    assert await sweeper.sweep(60) == 0
    stopwatch.at += 60.5
    assert await sweeper.sweep(60) == 1
    assert await sweeper.workers() == []
    await ledger.enlist(worker("w"))
    assert await sweeper.sweep(60) == 0
    await sweeper.close()


async def test_a_beat_at_the_last_moment(
    ledger: DynamoLedger, wire: Between, clock: Clock, moto: Moto
) -> None:
    """A worker that beats between the look of a sweeper and its burial lives on."""
    await planned_task(ledger, 1)
    (claim,) = await ledger.claim("w", 1)
    other = beside(ledger, moto)
    clock.at += 61
    roll = ledger._read

    async def beaten_after_the_look(do: Any, of: str | None = None) -> Any:
        answer = await roll(do, of)
        ledger._read = roll  # type: ignore[method-assign]
        await other.beat("w", 1)
        return answer

    ledger._read = beaten_after_the_look  # type: ignore[method-assign]
    assert await ledger.sweep(60) == 0
    assert await ledger.holds("w", claim)
    await other.close()


# Cost


async def with_done_chunks(ledger: DynamoLedger, done: int, name: str) -> Task:
    """A task at work on its last two chunks; the done ones before them are written straight to the table."""
    claim = await plan_claim(ledger, name)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(done), plan(done + 1)])
    record = await ledger._read(lambda book: book._record(claim.task.id))
    table = ledger._table
    items = [done_item(record, number) for number in range(done)]
    for at in range(0, done, 25):
        puts = [{"PutRequest": {"Item": packed(item)}} for item in items[at : at + 25]]
        table.ask(operator.methodcaller("batch_write_item", RequestItems={table.name: puts}))
    add_to_task(table, claim.task.id, done)
    await ledger.planned(claim.task.id, claim.fence, totals(done + 2))
    return await ledger.task(claim.task.id)


def done_item(record: Record, number: int) -> dict[str, Any]:
    chunk = Chunk(record.entry.task.id, plan(number), state=ChunkState.DONE, counts=READ)
    return chunk_item(chunk, place_of(chunk, record, 0.0), 0, 1)


def add_to_task(table: Table, task_id: str, done: int) -> None:
    numbers = {"chunks_total": done, "chunks_done": done, "rows_planned": done * ROWS}
    table.ask(
        lambda client: client.update_item(
            TableName=table.name,
            Key=packed(dict(zip(("pk", "sk"), task_key(task_id), strict=True))),
            UpdateExpression="ADD " + ", ".join(f"{name} :{name}" for name in numbers),
            ExpressionAttributeValues=packed({f":{name}": value for name, value in numbers.items()}),
        )
    )


async def test_done_chunks_cost_a_claim_nothing(ledger: DynamoLedger, wire: Between) -> None:
    """A claim and a commit ask and read no more after a thousand chunks are done than after ten."""
    costs = []
    for done in (10, 1_000):
        task = await with_done_chunks(ledger, done, f"{done}")
        wire.forget()
        (claim,) = await ledger.claim("w", 1)
        await ledger.commit(task.id, done, claim.fence, READ, ChunkFiles())
        costs.append((wire.calls(), wire.items_read()))
        await ledger.flag(task.id, Flag.CANCEL)
    assert costs[0] == costs[1]


async def test_ended_tasks_cost_nothing(ledger: DynamoLedger, wire: Between) -> None:
    """A page of tasks, a claim and a sweep read no more after thirty tasks than after eight."""
    costs = []
    for many in (8, 22):
        for _ in range(many):
            task = (await ledger.submit(spec())).task
            await ledger.flag(task.id, Flag.CANCEL)
        wire.forget()
        page = await ledger.tasks(5)
        assert (len(page.tasks), await ledger.claim("w", 5), await ledger.sweep(60)) == (5, [], 0)
        costs.append((wire.calls(), wire.items_read()))
    assert costs[0] == costs[1]


async def test_what_a_chunk_costs(ledger: DynamoLedger, wire: Between) -> None:
    """From its append to its commit a chunk is written in the few actions that docs/operations.md counts."""
    wire.forget()
    claim = await plan_claim(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(number) for number in range(MANY)])
    await ledger.planned(claim.task.id, claim.fence, totals(MANY))
    task_alone = 18
    for _ in range(MANY // 2):
        for each in await ledger.claim("w", 2):
            await ledger.commit(each.task.id, number_of(each), each.fence, READ, ChunkFiles("m", "r"))
    written = sum(len(call["TransactItems"]) for call in wire.asked["TransactWriteItems"])
    # Of each chunk: appended 1, claimed 2 (itself, the mark of its holder) and half of 3 (the task, its
    # lists, the worker), committed 3 and, every other time, the lists.
    assert (written - task_alone) / MANY <= 9


async def test_waiting_tasks_are_passed_over(ledger: DynamoLedger, wire: Between, clock: Clock) -> None:
    """Once seen, a task whose chunks all wait is not looked into again before the first of them is due."""
    task = await planned_task(ledger, 2)
    for claim in await ledger.claim("w", 2):
        await ledger.hand_back(
            task.id, number_of(claim), claim.fence, "busy", clock.at + 10 * number_of(claim) + 5
        )
    assert await ledger.claim("w", 2) == []
    wire.forget()
    assert await ledger.claim("w", 2) == []
    assert wire.items_read() == 0
    clock.at += 5
    assert [number_of(claim) for claim in await ledger.claim("w", 2)] == [0]
    clock.at += 10
    assert [number_of(claim) for claim in await ledger.claim("w", 2)] == [1]
    audit(ledger)


async def test_the_event_loop_goes_on(ledger: DynamoLedger, wire: Between) -> None:
    """While the table does not answer, everything else in the process does."""
    gate = threading.Event()
    wire.next("GetItem", Hold(gate))
    ping = asyncio.create_task(ledger.ping())
    while not wire.asked["GetItem"]:
        await asyncio.sleep(0.001)
    assert (await ledger.tasks()).tasks == []
    assert not ping.done()
    gate.set()
    await ping


async def test_fences_hold_across_ledgers(ledger: DynamoLedger, moto: Moto) -> None:
    """A worker that was buried by another host cannot commit."""
    task = await planned_task(ledger, 1)
    (stale,) = await ledger.claim("w", 1)
    other = beside(ledger, moto)
    await other.bury(["w"])
    with pytest.raises(LeaseLost):
        await ledger.commit(task.id, 0, stale.fence, READ, ChunkFiles())
    assert (await other.task(task.id)).counts == Counts()
    await other.close()


def throttled() -> list[Refuse]:
    """As often as the client asks before it gives up."""
    return [Refuse("ThrottlingException")] * 3
