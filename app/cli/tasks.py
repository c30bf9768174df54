"""Commands about tasks that exist: how they stand, and what is asked of them."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from app.api.status import StatusView, status_of
from app.api.views import GroupList, TaskList
from app.cli.door import through
from app.cli.exits import Exit
from app.cli.follow import follow, view_of
from app.cli.screen import Json, Screen, printable, shortened
from app.cli.summary import exit_of_task, summary
from rowvec import steer
from rowvec.machine import Machine
from rowvec.model import Flag, Task
from rowvec.rejected import Group, grouped, rejections
from rowvec.repair import repair_table
from rowvec.resend import retry_rejected
from rowvec.spec import Verify
from rowvec.verify import verify as compare

TaskId = Annotated[str, typer.Argument(metavar="ID", help="The task's whole id.")]


def tasks(
    status: Annotated[str | None, typer.Option(help="Only tasks in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after an earlier page.")] = None,
    json: Json = False,
) -> None:
    """List tasks, newest first."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        page = await machine.ledger.tasks(limit=limit, cursor=cursor, state=status)
        listed = await TaskList.of(machine.ledger, page)
        screen.answer(listed.model_dump(mode="json"), lambda: _listed(listed.tasks))
        if page.cursor and not json:
            screen.note(f"More: ./vectordb tasks --cursor {page.cursor}")
        return Exit.DONE

    through(json, work)


def _listed(views: Sequence[StatusView]) -> str:
    """One line a task, never cut: ids are there to be copied."""
    if not views:
        return "No tasks. Start one with: ./vectordb run FILE"
    lines = [f"{'task':<36}  {'status':<10} {'rows':>12} {'rejected':>9}  {'submitted (UTC)':<16}  namespace"]
    for view in views:
        law = view.conservation
        submitted = f"{view.created_at:%Y-%m-%d %H:%M}" if view.created_at else ""
        lines.append(
            f"{view.task_id:<36}  {view.status:<10} {law.read - law.unprocessed:>12,} {law.rejected:>9,}"
            f"  {submitted:<16}  {view.namespace}"
        )
    return "\n".join(lines)


def status(
    task_id: TaskId,
    follow_it: Annotated[
        bool, typer.Option("--follow", help="To the end; works on it here when nobody else does.")
    ] = False,
    json: Json = False,
) -> None:
    """Show how a task stands."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        view = await view_of(machine.ledger, task_id)
        if follow_it:
            return await follow(machine, screen, task_id)
        screen.answer(view.model_dump(mode="json"), lambda: summary(view))
        return exit_of_task(view) if view.status in ("completed", "failed") else Exit.DONE

    through(json, work)


def pause(task_id: TaskId, json: Json = False) -> None:
    """Hand out no more of a task's work until it is resumed."""
    _steered(task_id, json, lambda m: m.ledger.flag(task_id, Flag.PAUSE, "paused on request"))


def resume(task_id: TaskId, json: Json = False) -> None:
    """Let a paused task go on where it stood."""
    _steered(task_id, json, lambda m: steer.resume(m, task_id))


def retry(
    task_id: TaskId,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Send the rejected rows in again, too, as a child task.")
    ] = False,
    json: Json = False,
) -> None:
    """Try the failed chunks of a task again."""

    async def again(machine: Machine) -> Task:
        if rejected:
            return (await retry_rejected(machine, task_id)).task
        return await steer.retry(machine, task_id)

    _steered(task_id, json, again)


def cancel(task_id: TaskId, json: Json = False) -> None:
    """Stop a task for good; what has landed stays."""
    _steered(task_id, json, lambda m: steer.cancel(m, task_id))


def _steered(task_id: str, json: bool, ask: Callable[[Machine], Awaitable[Task]]) -> None:
    async def work(machine: Machine, screen: Screen) -> Exit:
        view = await status_of(machine.ledger, await ask(machine))
        screen.answer(view.model_dump(mode="json"), lambda: _told(view, task_id))
        return Exit.DONE

    through(json, work)


def _told(view: StatusView, asked: str) -> str:
    of_another = "" if view.task_id == asked else f", with the rejected rows of task {asked}"
    return f"task {view.task_id}: {view.status}{of_another}"


def verify(
    task_id: TaskId,
    sample: Annotated[bool, typer.Option("--sample", help="Look at about 10,000 rows only.")] = False,
    json: Json = False,
) -> None:
    """Compare the vector store with what a task counted as landed."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        found = await compare(machine, task_id, Verify.SAMPLE if sample else Verify.ALL)
        lines = [f"{found.expected:,} vectors expected, {found.found:,} found"]
        lines += [f"missing: {found.missing_count:,}"] + [f"  {name}" for name in found.missing]
        lines += [f"wrong: {found.wrong_count:,}"] + [f"  {name}" for name in found.wrong]
        lines += [f"of no row: {found.extra_count:,}"] + [f"  {name}" for name in found.extra]
        lines += [
            "the store holds what was counted" if found.ok else "the store does NOT hold what was counted"
        ]
        screen.answer({"task_id": task_id, "ok": found.ok, **asdict(found)}, lambda: "\n".join(lines))
        return Exit.DONE if found.ok else Exit.FAILED

    through(json, work)


def rejected(
    task_id: TaskId,
    outcome: Annotated[str, typer.Option(help="rejected, duplicate or warning.")] = "rejected",
    groups: Annotated[bool, typer.Option("--groups", help="Count them by reason.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="As a CSV to repair, for `run FILE --repairs ID`.")
    ] = False,
    json: Json = False,
) -> None:
    """List the rows that are not in the index, and why."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        if repair:
            async for line in repair_table(machine, await machine.ledger.task(task_id)):
                sys.stdout.buffer.write(line)
            return Exit.DONE
        if groups:
            found = await grouped(rejections(machine, task_id, outcome))
            screen.answer(GroupList.of(found).model_dump(mode="json"), lambda: _grouped(found))
            return Exit.DONE
        count = 0
        async for note in rejections(machine, task_id, outcome):
            if json:
                print("," if count else "[", jsonlib.dumps(asdict(note)), sep="\n")
            else:
                print(printable(f"row {note.row}: {note.reason} ({note.code})"))
            count += 1
        if json:
            print("]" if count else "[]")
        else:
            screen.note(f"{count:,} rows")
        return Exit.DONE

    through(json, work)


def _grouped(groups: Sequence[Group]) -> str:
    """Three lines a reason: how often and where, why, and one of the rows."""
    return (
        "\n".join(
            f"{group.count:,} rows: {group.code}, rows {group.first_row:,} to {group.last_row:,}\n"
            f"  {shortened(group.reason, 160)}\n"
            f"  {shortened(group.content, 160)}"
            for group in groups
        )
        or "0 rows"
    )
