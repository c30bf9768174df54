"""`demo`: the whole product in a minute, on data that every Python brings along."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import typer

from app.api.status import StatusView
from app.api.views import MatchView
from app.cli.address import check_free, other_port
from app.cli.door import configured, explained
from app.cli.exits import Exit
from app.cli.progress import Snapshot, clock, display
from app.cli.screen import Json, Screen
from app.cli.search import matches
from app.cli.summary import law
from app.config import Settings
from app.demo.client import Client
from app.demo.sample import NAMESPACE, OPTIONS, build
from app.demo.service import HOST, Service

SEARCHES = (
    ("parse a date written as text", "strptime"),
    ("delete a directory and everything in it", "shutil.rmtree"),
    ("wait until another thread has finished", "threading.Thread.join"),
)
"""What is asked, and what one of the first three names must end with."""

TOP = 3


@dataclass(frozen=True, slots=True)
class Searched:
    query: str
    expected: str
    found: list[MatchView]

    @property
    def right(self) -> bool:
        return any(match.id.endswith(self.expected) for match in self.found)


def demo(json: Json = False) -> None:
    """Index the Python standard library's documentation and search it, without a key or a question."""
    screen = Screen(json)
    with explained(screen), _stopped_in_order():
        code = _tour(screen)
    raise typer.Exit(code)


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """A hang-up or a polite kill ends the demo as Ctrl-C does, so that the service is stopped, too."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tour(screen: Screen) -> Exit:
    config = configured()
    check_free(HOST, config.port, other_port(config.port, "demo"))
    table = config.data / "demo" / "python-stdlib.csv"
    key = secrets.token_hex(32)
    with Service(config, key) as service, Client(service.url, key) as client:
        screen.note(f"The service is at {service.url}")
        rows = build(table)
        screen.note(f"{rows:,} rows of documentation are in {table}")
        service.wait_until_ready()
        view = _indexed(client, table, screen)
        searched = [Searched(query, name, client.search(query, NAMESPACE, TOP)) for query, name in SEARCHES]
        screen.answer(_document(view, searched, table, config.data), lambda: _told(view, searched, config))
        return _verdict(screen, service, view, searched, rows)


def _indexed(client: Client, table: Path, screen: Screen) -> StatusView:
    task_id = client.process(client.upload(table), **OPTIONS)
    with display(screen.err) as shown:
        while True:
            view = client.status(task_id)
            snapshot = Snapshot.of(view)
            shown.show(snapshot)
            if snapshot.over:
                return view
            time.sleep(0.1)


def _verdict(screen: Screen, service: Service, view: StatusView, searched: list[Searched], rows: int) -> Exit:
    """Everything is checked against what was built, not against what the service says of itself."""
    wrong = [f"'{search.query}' did not find {search.expected}" for search in searched if not search.right]
    if view.status != "completed":
        wrong.append(f"the task is {view.status}: {view.error or view.hold_reason}")
    if view.conservation.upserted != rows:
        wrong.append(f"{rows:,} rows were built and {view.conservation.upserted:,} landed")
    if not wrong:
        return Exit.DONE
    screen.error("demo-failed", f"{'; '.join(wrong)}. The service's log is {service.log}")
    return Exit.FAILED


def _told(view: StatusView, searched: list[Searched], config: Settings) -> str:
    lines = []
    for search in searched:
        lines += [f"\nsearch: {search.query}", matches(search.found)]
        lines.append(
            f"  {'right' if search.right else 'WRONG'}: {search.expected} expected in the first {TOP}"
        )
    lines += [f"\n{law(view)}{_speed(view)}", *_next_steps(config)]
    return "\n".join(lines)


def _next_steps(config: Settings) -> list[str]:
    """Where the data is, and what to type; what the settings choose does not see the demo's own parts."""
    others = config.other_parts
    if others:
        return [
            f"The data is in {config.data}, in the embedded parts: the demo uses no others. Your settings "
            f"choose others ({', '.join(others)}), which know nothing of it."
        ]
    return [
        f"The data is in {config.data}. Serve it:   make serve",
        f'Search it yourself:   ./vectordb search "compress data" --namespace {NAMESPACE}',
        "Index a table of yours:   ./vectordb run FILE.csv",
    ]


def _speed(view: StatusView) -> str:
    if not (view.started_at and view.completed_at):
        return ""
    seconds = (view.completed_at - view.started_at).total_seconds()
    return (
        f", in {clock(seconds) if seconds >= 10 else f'{seconds:.1f} s'}, {view.rows_per_second:,.0f} rows/s"
    )


def _document(view: StatusView, searched: list[Searched], table: Path, data: Path) -> dict[str, Any]:
    return {
        "task": view.model_dump(mode="json"),
        "searches": [
            {
                "query": search.query,
                "expected": search.expected,
                "right": search.right,
                "matches": [match.model_dump(mode="json") for match in search.found],
            }
            for search in searched
        ],
        "table": str(table),
        "data_dir": str(data),
    }
