"""Many clients at once, each of whom does what callers do, one request after the other, and thinks."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.connection import BROKEN, Connection

ROWS, BAD = 20, 1
"""Of the table that each client sends in again and again, and how many of them are no rows."""
CANCELLED = 0.1
"""Of all tasks."""
ASKED_TWICE = 0.1
"""Of all submissions: as by who has not heard the answer."""
ENDED = ("completed", "failed", "cancelled")
PAGE = 200
JSON = {"Content-Type": "application/json"}
DRAIN_SECONDS = 300.0

_TABLE = "id,title,body\n" + "".join(
    f"{n},title {n},A short text about the thing of number {n}.\n" for n in range(ROWS - BAD)
)


@dataclass(slots=True)
class Seen:
    """What the clients have seen. `times` are milliseconds by route, `answers` count its statuses; `accepted`
    says of each task that was accepted whether it was cancelled."""

    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    accepted: dict[str, bool] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)

    @property
    def server_errors(self) -> int:
        """Answers of 500 and above, and calls that had none."""
        return sum(count for (_, status), count in self.answers.items() if status >= 500 or not status)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`lost` are tasks that were accepted and have not come to an end that fits, with how they stand."""

    seen: Seen
    lost: list[str]
    ends: Counter[str]
    drained_after: float


async def crowd(port: int, key: str, clients: int, seconds: float, think: float = 1.0) -> Outcome:
    """So many clients for so long; then wait for the end of all that was accepted, and look at each task."""
    seen = Seen()
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_Client(number, Connection(port, key), seen, think, until).live())
    began = time.perf_counter()
    tasks = await _all_ended(Connection(port, key))
    ends = Counter(str(task["status"]) for task in tasks.values())
    lost = [f"{name}: {_stand(tasks.get(name))}" for name in seen.accepted if not _fits(name, seen, tasks)]
    return Outcome(seen, lost, ends, time.perf_counter() - began)


class _Client:
    def __init__(self, number: int, connection: Connection, seen: Seen, think: float, until: float) -> None:
        self._name = f"client-{number}"
        self._connection = connection
        self._seen = seen
        self._think = think
        self._until = until
        self._chance = random.Random(number)

    async def live(self) -> None:
        """Send a table in, again and again, and see what becomes of it."""
        await asyncio.sleep(self._chance.random() * self._think)
        upload = await self._upload()
        while upload:
            await self._one_task(upload["file_id"])
            if time.perf_counter() > self._until:
                break
        self._connection.close()

    async def _one_task(self, file_id: str) -> None:
        wish = {"data_source": "upload", "file_id": file_id, "namespace": self._name, "id_column": "id"}
        key = {"Idempotency-Key": f"{self._name}-{self._chance.getrandbits(64):x}"}
        answer = await self._ask("POST", "/process", body=_said(wish), headers=key | JSON)
        if not answer:
            return
        if self._chance.random() < ASKED_TWICE:
            again = await self._ask("POST", "/process", body=_said(wish), headers=key | JSON)
            if again and again["task_id"] != answer["task_id"]:
                self._seen.strange.append(f"two tasks of one key: {answer} and {again}")
        task_id = answer["task_id"]
        self._seen.accepted[task_id] = self._chance.random() < CANCELLED
        if self._seen.accepted[task_id]:
            await self._ask("POST", "/tasks/{}/cancel", task_id, expected=(200, 409))
        while time.perf_counter() < self._until:
            status = await self._ask("GET", "/status/{}", task_id)
            if status and status["status"] in ENDED:
                return await self._look_at(task_id)

    async def _look_at(self, task_id: str) -> None:
        await self._ask("GET", "/tasks/{}/chunks", task_id)
        await self._ask("GET", "/tasks/{}/rejected", task_id)
        query = {"query": "the thing", "namespace": self._name, "limit": 3}
        await self._ask("POST", "/search", body=_said(query), headers=JSON)
        await self._ask("GET", "/tasks")

    async def _upload(self) -> Any:
        body = (_TABLE + "too,short\n" * BAD).encode()
        return await self._ask("POST", "/files", body=body, headers={"Content-Type": "text/csv"})

    async def _ask(
        self, method: str, route: str, *of: str, expected: tuple[int, ...] = (200, 201, 202), **more: Any
    ) -> Any:
        """What JSON the answer has, else None; after it the client thinks."""
        name, began = f"{method} {route.format('ID')}", time.perf_counter()
        try:
            answer = await self._connection.ask(method, f"/api/v1{route.format(*of)}", **more)
        except BROKEN as error:
            self._note(name, 0, f"no answer: {error!r}", expected)
            return None
        self._seen.times[name].append(1000 * (time.perf_counter() - began))
        self._note(name, answer.status, answer.body[:300].decode(errors="replace"), expected)
        await asyncio.sleep(self._think * (0.5 + self._chance.random()))
        return answer.json()

    def _note(self, name: str, status: int, said: str, expected: tuple[int, ...]) -> None:
        self._seen.answers[name, status] += 1
        if status not in expected:
            self._seen.strange.append(f"{name}: {status} {said}")


def _said(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


async def _all_ended(connection: Connection) -> Mapping[str, Mapping[str, Any]]:
    """All tasks there are, once each has ended, or after DRAIN_SECONDS."""
    give_up = time.perf_counter() + DRAIN_SECONDS
    while True:
        tasks = await _every(connection)
        if all(task["status"] in ENDED for task in tasks.values()) or time.perf_counter() > give_up:
            return tasks
        await asyncio.sleep(1.0)


async def _every(connection: Connection) -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    cursor: str | None = ""
    while cursor is not None:
        answer = await connection.ask("GET", f"/api/v1/tasks?limit={PAGE}{cursor}")
        page = answer.json()
        found |= {task["task_id"]: task for task in page["tasks"]}
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    return found


def _fits(name: str, seen: Seen, tasks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Completed with every row accounted for, or cancelled by who asked for that."""
    task = tasks.get(name)
    if task is None:
        return False
    if task["status"] == "cancelled":
        return seen.accepted[name]
    law = task["conservation"]
    counts = (law["read"], law["upserted"], law["rejected"], law["unprocessed"])
    return bool(task["status"] == "completed" and counts == (ROWS, ROWS - BAD, BAD, 0))


def _stand(task: Mapping[str, Any] | None) -> str:
    if task is None:
        return "unknown"
    return f"{task['status']} ({task['error'] or task['hold_reason'] or task['conservation']})"
