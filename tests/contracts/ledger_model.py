"""What a ledger should hold, kept in plain dictionaries and worked out anew from its chunks each time.

Written from the contract alone: it shares no rule with the ledgers it judges.
"""

from __future__ import annotations

from typing import Any

from rowvec.ledgers.base import MAX_CRASHES
from rowvec.model import Claim, Counts, WorkKind

ENDED = ("completed", "failed", "cancelled")
Row = dict[str, Any]


class Model:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.tasks: dict[str, Row] = {}
        self.beats: dict[str, float] = {}

    # Tasks

    def submit(self, task_id: str, name: str) -> None:
        lease = {"worker": None, "fence": 0, "due": 0.0, "attempts": 0, "crashes": 0}
        doubles = {"duplicates": 0, "passages": 0}
        state = {"state": "pending", "hold": "", "planned": False}
        self.tasks[task_id] = {"name": name, "chunks": {}, **state, **lease, **doubles}

    def running(self, name: str) -> str | None:
        same = [i for i, task in self.tasks.items() if task["name"] == name and task["state"] not in ENDED]
        return same[-1] if same else None

    def may(self, task_id: str, flag: str) -> bool:
        """Is the wish granted (or so already)?"""
        task = self.tasks[task_id]
        if task["state"] in ENDED:
            return (flag, task["state"]) in (("retry", "failed"), ("cancel", "cancelled"))
        if task["hold"] == "cancelling":
            return flag == "cancel"
        return flag != "retry" or (task["hold"] == "" and task["state"] != "pending")

    def flag(self, task_id: str, flag: str) -> None:
        task = self.tasks[task_id]
        if flag == "retry" and task["state"] == "failed":
            self._retry(task)
        if task["state"] not in ENDED:
            if flag == "resume" and task["hold"]:
                for row in (task, *task["chunks"].values()):
                    row["due"] = 0.0
            holds = {"pause": "paused", "resume": "", "cancel": "cancelling"}
            task["hold"] = holds.get(flag, task["hold"])
        self.finish(task_id)

    def _retry(self, task: Row) -> None:
        task.update(state="processing" if task["planned"] else "planning", attempts=0, crashes=0, due=0.0)
        for chunk in task["chunks"].values():
            if chunk["state"] == "failed":
                chunk.update(state="ready", attempts=0, crashes=0, due=0.0)

    def finish(self, task_id: str) -> None:
        task = self.tasks[task_id]
        states = [chunk["state"] for chunk in task["chunks"].values()]
        if task["state"] in ENDED:
            return
        if task["hold"] == "cancelling":
            if "claimed" not in states and task["worker"] is None:
                task.update(state="cancelled", hold="")
        elif task["state"] == "processing" and not task["hold"] and set(states) <= {"done", "failed"}:
            task["state"] = "failed" if "failed" in states else "settling"

    # Plan and settle work

    def live(self, claim: Claim) -> bool:
        """Is it still held under its fence?"""
        task = self.tasks[claim.task.id]
        if claim.chunk is None:
            right = {WorkKind.PLAN: "planning", WorkKind.SETTLE: "settling"}[claim.kind]
            return (task["state"], task["fence"]) == (right, claim.fence) and task["worker"] is not None
        chunk = task["chunks"][claim.chunk.plan.number]
        return bool((chunk["state"], chunk["fence"]) == ("claimed", claim.fence))

    def append(self, task_id: str, rows: dict[int, int]) -> None:
        chunks = self.tasks[task_id]["chunks"]
        if rows.keys() - chunks:
            self.tasks[task_id].update(attempts=0, crashes=0)
        for number, size in rows.items():
            fresh = {"state": "ready", "worker": None, "fence": 0, "due": 0.0, "attempts": 0, "crashes": 0}
            chunks.setdefault(number, {**fresh, "rows": size, "counts": Counts()})

    def planned(self, task_id: str) -> None:
        self.tasks[task_id].update(
            state="processing", planned=True, worker=None, attempts=0, crashes=0, due=0.0
        )
        self.finish(task_id)

    def let_go(self, task_id: str, attempt: bool = False, due: float | None = None) -> None:
        task = self.tasks[task_id]
        task["worker"] = None
        task["attempts"] += attempt
        task["due"] = task["due"] if due is None else due
        self.finish(task_id)

    def fail(self, task_id: str) -> None:
        self._end(task_id, "failed")

    def settled(self, task_id: str, duplicates: int, passages: int) -> None:
        self.tasks[task_id].update(duplicates=duplicates, passages=passages)
        self._end(task_id, "completed")

    def _end(self, task_id: str, state: str) -> None:
        task = self.tasks[task_id]
        task["worker"] = None
        if task["hold"] != "cancelling":
            task.update(state=state, hold="")
        self.finish(task_id)

    # Chunks

    def bring_back(self, claim: Claim, **changes: Any) -> None:
        assert claim.chunk is not None
        chunk = self.tasks[claim.task.id]["chunks"][claim.chunk.plan.number]
        chunk.update(worker=None, **changes)
        self.finish(claim.task.id)

    def available(self, worker: str, most_per_task: int | None) -> dict[str, list[int]]:
        """Chunk numbers that worker may take now, by task."""
        found = {}
        for task_id, task in self.tasks.items():
            if task["hold"] or task["state"] not in ("planning", "processing"):
                continue
            chunks = task["chunks"]
            mine = sum(chunk["worker"] == worker for chunk in chunks.values())
            due = [n for n, c in sorted(chunks.items()) if c["state"] == "ready" and c["due"] <= self.now]
            found[task_id] = due if most_per_task is None else due[: max(0, most_per_task - mine)]
        return {task_id: numbers for task_id, numbers in found.items() if numbers}

    def idle(self, *states: str) -> list[str]:
        """Tasks in these states that wait for a planner or a settler."""
        return [
            task_id
            for task_id, task in self.tasks.items()
            if task["state"] in states and not task["hold"] and not task["worker"] and task["due"] <= self.now
        ]

    def claimed(self, task_id: str) -> int:
        return sum(chunk["state"] == "claimed" for chunk in self.tasks[task_id]["chunks"].values())

    # Workers

    def leave(self, worker: str, crash: int) -> int:
        """The worker is gone; how many pieces were taken back."""
        self.beats.pop(worker, None)
        pieces = 0
        for task_id, task in self.tasks.items():
            held = [chunk for chunk in task["chunks"].values() if chunk["worker"] == worker]
            for chunk in held:
                gone = chunk["crashes"] + crash > MAX_CRASHES
                state = "failed" if gone else "ready"
                chunk.update(worker=None, crashes=chunk["crashes"] + crash, due=0.0, state=state)
            pieces += len(held) + (task["worker"] == worker)
            if task["worker"] == worker:
                task["crashes"] += crash
                self.fail(task_id) if task["crashes"] > MAX_CRASHES else self.let_go(task_id)
            self.finish(task_id)
        return pieces

    # What the ledger must show

    def counts(self, task_id: str) -> Counts:
        task = self.tasks[task_id]
        done = [chunk["counts"] for chunk in task["chunks"].values() if chunk["state"] == "done"]
        moved = task["duplicates"]
        doubles = Counts(upserted=-moved, duplicate=moved, passages=-task["passages"])
        return sum(done, Counts()) + doubles

    def shown(self, task_id: str) -> Row:
        task = self.tasks[task_id]
        states = [chunk["state"] for chunk in task["chunks"].values()]
        failed = [chunk["rows"] for chunk in task["chunks"].values() if chunk["state"] == "failed"]
        return {
            **{name: task[name] for name in ("state", "hold", "planned", "worker", "fence", "attempts")},
            "rows_planned": sum(chunk["rows"] for chunk in task["chunks"].values()),
            "chunks_total": len(states),
            "chunks_done": states.count("done"),
            "chunks_failed": states.count("failed"),
            "rows_failed": sum(failed),
            "counts": self.counts(task_id),
        }
