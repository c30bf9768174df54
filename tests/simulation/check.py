"""What must be true in the end: every row has one outcome, and the store holds the right vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from rowvec.machine import Machine
from rowvec.manifest import read_merged, written
from rowvec.model import ChunkState, Task, TaskState
from rowvec.rejected import done_chunks, rejections
from rowvec.storing import vector_ids
from rowvec.verify import verify
from tests.simulation.goods import Goods
from tests.simulation.problem import Kind, Problem, some
from tests.simulation.world import World


async def problems(
    world: World, machine: Machine, goods: Goods, task_id: str, before: Mapping[str, Any]
) -> list[Problem]:
    """Every promise that was broken to the caller of this task. `before` are the vectors that were there."""
    task = await machine.ledger.task(task_id)
    left = await machine.ledger.chunks(task.id, state=ChunkState.CLAIMED)
    found = some(Kind.OTHER, "chunks are still claimed", [chunk.plan.number for chunk in left])
    found += await _of_verify(machine, task)
    if task.state is TaskState.CANCELLED:
        return found + _of_a_cancelled(world, goods, task)
    found += await _of_outcomes(machine, goods, task)
    found += _of_vectors(world, goods, task, before)
    return found + await _of_manifests(world, machine, goods, task)


async def _of_outcomes(machine: Machine, goods: Goods, task: Task) -> list[Problem]:
    """Each row is stored, rejected or a double, and nothing else."""
    rejected = Counter([note.row async for note in rejections(machine, task.id)])
    duplicate = Counter([note.row async for note in rejections(machine, task.id, "duplicate")])
    total = rejected + duplicate + Counter(goods.winners.values())
    every = range(1, len(goods.table.records) + 1)
    bad = goods.table.bad.keys()
    counts = task.counts
    told = (counts.read, counts.upserted, counts.duplicate, counts.rejected, counts.passages)
    true = (len(every), len(goods.winners), duplicate.total(), rejected.total(), len(goods.vectors))
    return [
        *some(Kind.LOST, "rows have no outcome", every - total.keys()),
        *some(Kind.DOUBLED, "rows have several outcomes", [row for row, times in total.items() if times > 1]),
        *some(Kind.WRONG, "rows are none of the table", total.keys() - {*every}),
        *some(Kind.WRONG, "bad rows are not listed", bad - rejected.keys()),
        *some(Kind.WRONG, "good rows are rejected", rejected.keys() - bad - goods.refused),
        *some(Kind.WRONG, "counts are", [] if told == true else [f"{told}, and should be {true}"]),
    ]


def _of_vectors(world: World, goods: Goods, task: Task, before: Mapping[str, Any]) -> list[Problem]:
    """The store: what this task should have written, and of what was there before the rows it has not."""
    stored, expected = world.stored(goods.namespace), goods.vectors
    kept = {name: old for name, old in before.items() if old.stamp.row_id not in goods.winners}
    found = some(Kind.LOST, "vectors are not stored", (expected.keys() | kept.keys()) - stored.keys())
    found += some(Kind.DOUBLED, "vectors are beside", stored.keys() - expected.keys() - kept.keys())
    found += some(Kind.WRONG, "vectors were others before", [n for n in kept if stored.get(n) is not kept[n]])
    wrong = []
    for vector_id in expected.keys() & stored.keys():
        vector, (number, text) = stored[vector_id], expected[vector_id]
        stamp = (vector.stamp.row_number, vector.text, vector.stamp.task_id)
        if stamp != (number, text, task.id) or not np.array_equal(vector.values, world.provider.vector(text)):
            wrong.append(f"{vector_id} of row {vector.stamp.row_number}, not {number}")
    return found + some(Kind.WRONG, "vectors are others", wrong)


async def _of_verify(machine: Machine, task: Task) -> list[Problem]:
    audit = await verify(machine, task.id)
    return [
        *some(Kind.LOST, "vectors are missing, says verify", audit.missing),
        *some(Kind.WRONG, "vectors are wrong, says verify", audit.wrong),
    ]


async def _of_manifests(world: World, machine: Machine, goods: Goods, task: Task) -> list[Problem]:
    manifests = await written(done_chunks(machine.ledger, task.id))
    told = {
        vector_id
        async for manifest in read_merged(machine.files, manifests)
        for row_id, passages in zip(manifest.ids, manifest.passages, strict=True)
        for vector_id in vector_ids(row_id, passages)
    }
    stored = world.stored(goods.namespace).items()
    own = {name for name, vector in stored if vector.stamp.task_id == task.id}
    return some(Kind.DOUBLED, "vectors are in no manifest", own - told)


def _of_a_cancelled(world: World, goods: Goods, task: Task) -> list[Problem]:
    """What it has written is of its table."""
    strange = [
        vector_id
        for vector_id, vector in world.stored(goods.namespace).items()
        if vector.stamp.task_id == task.id and vector.text not in goods.texts.get(vector.stamp.row_number, ())
    ]
    return some(Kind.WRONG, "vectors are of no row", strange)
