"""`preview FILE`: its first rows as they will be embedded, without running it."""

from __future__ import annotations

from typing import Annotated

import typer

from app.api.preview import PreviewedRowView, PreviewView
from app.cli.door import through
from app.cli.exits import Exit
from app.cli.screen import Json, Screen, shortened
from app.cli.wish import File, Wish, here, of_a_table
from rowvec.machine import Machine
from rowvec.preview import ROWS
from rowvec.preview import preview as previewed

Rows = Annotated[int, typer.Option(min=1, max=50, help="How many rows.")]


@of_a_table
def preview(file: File, wish: Wish, rows: Rows = ROWS, json: Json = False) -> None:
    """Show the first rows of a table as they will be embedded. Spends nothing."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        view = PreviewView.of(await previewed(*here(machine, file, wish), rows))
        screen.answer(view.model_dump(mode="json"), lambda: described(view))
        return Exit.DONE

    through(json, work)


def described(view: PreviewView) -> str:
    """The table in a line, then each row: what becomes of it, and its text."""
    spelling = " ".join(filter(None, (view.encoding, view.compression)))
    head = (
        f"{len(view.columns)} columns separated by {view.delimiter!r}, {spelling}: {', '.join(view.columns)}"
    )
    types = ", ".join(f"{name} {kind}" for name, kind in view.types.items())
    lines = [shortened(head, 160), shortened(f"kept beside each: {types or 'nothing'}", 160)]
    lines.append(f"namespace {view.namespace}, model {view.model}")
    return "\n".join([*lines, *(line for row in view.rows for line in _row(row))])


def _row(row: PreviewedRowView) -> list[str]:
    if row.outcome != "embedded":
        why = f": {row.reason} ({row.code})" if row.reason else ""
        return [f"\nrow {row.number}: {row.outcome}{why}", f"  {shortened(row.content, 160)}"]
    pieces = "1 passage" if row.passage_count == 1 else f"{row.passage_count} passages"
    head = f"\nrow {row.number}: id {shortened(row.id or '', 60)}, {row.tokens} tokens in {pieces}"
    return [head, *(f"  {shortened(piece, 160)}" for piece in row.passages)]
