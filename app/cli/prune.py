"""`prune`: old tasks go, with all that was kept of them but their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from app.cli.door import through
from app.cli.exits import Exit
from app.cli.screen import Json, Screen
from rowvec.machine import Machine
from rowvec.model import utc
from rowvec.prune import Old, old_tasks
from rowvec.prune import prune as remove


def prune(
    days: Annotated[float, typer.Option(min=0, help="Tasks that ended more than so many days ago.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which.")] = False,
    json: Json = False,
) -> None:
    """Remove old tasks that have ended, with their chunks, manifests and rejected rows; vectors stay."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        found = await old_tasks(machine.ledger, days)
        gone = found if dry_run else [task async for task in remove(machine, found)]
        answer = {"days": days, "dry_run": dry_run, "tasks": [_described(task) for task in gone]}
        screen.answer(answer, lambda: _told(gone, days, dry_run))
        return Exit.DONE

    through(json, work)


def _told(tasks: Sequence[Old], days: float, dry_run: bool) -> str:
    if not tasks:
        return f"No task ended more than {days:g} days ago."
    what = "would go" if dry_run else "are gone"
    lines = [
        f"{task.id}  {task.state:<9} {_day(task)}  {task.rows:>12,} rows  {task.namespace}" for task in tasks
    ]
    return "\n".join([*lines, f"{len(tasks):,} tasks {what}; their vectors stay"])


def _described(task: Old) -> dict[str, Any]:
    ended = utc(task.completed_at)
    return asdict(task) | {"completed_at": ended.isoformat() if ended else None}


def _day(task: Old) -> str:
    ended = utc(task.completed_at)
    return f"{ended:%Y-%m-%d}" if ended else ""
