"""`run FILE`: a table of this machine into the index, followed to the end."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import anyio
import typer

from app.cli.door import through
from app.cli.exits import Exit
from app.cli.follow import follow
from app.cli.screen import Json, Screen
from rowvec.errors import SourceForbidden, SourceNotFound
from rowvec.filestores.base import FileStore
from rowvec.intake import TaskRequest, submit
from rowvec.machine import Machine

PART = 1024 * 1024
"""Bytes read at a time."""


def run(
    file: Annotated[Path, typer.Argument(help="A CSV file anywhere on this machine.")],
    namespace: Annotated[str, typer.Option(help="Where the vectors go.")] = "default",
    id_column: Annotated[str | None, typer.Option(help="Gives each vector its id.")] = None,
    text_columns: Annotated[
        str, typer.Option(help="What is embedded, comma-separated; all by default.")
    ] = "",
    text_template: Annotated[str | None, typer.Option(help='For example "{title}: {body}".')] = None,
    metadata_columns: Annotated[
        str | None, typer.Option(help="What is stored beside the vector, comma-separated; all by default.")
    ] = None,
    date_column: Annotated[str | None, typer.Option(help="The column that start and end select by.")] = None,
    start_date: Annotated[str | None, typer.Option(help="First day or moment taken, inclusive.")] = None,
    end_date: Annotated[str | None, typer.Option(help="Last day or moment taken, inclusive.")] = None,
    date_format: Annotated[str | None, typer.Option(help="As of strptime; ISO 8601 when not given.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, max=100_000, help="Rows a chunk.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Found out when not given.")] = None,
    json: Json = False,
) -> None:
    """Put a table into the index and follow it to the end."""
    path = Path(os.environ.get("CALLED_FROM", "."), file.expanduser())

    async def work(machine: Machine, screen: Screen) -> Exit:
        request = TaskRequest(
            source="upload",
            ref=await _upload(machine.files, path),
            namespace=namespace,
            chunk_size=batch_size,
            delimiter=delimiter,
            id_column=id_column,
            text_columns=_names(text_columns),
            text_template=text_template,
            metadata_columns=None if metadata_columns is None else _names(metadata_columns),
            date_column=date_column,
            start_date=start_date,
            end_date=end_date,
            date_format=date_format,
        )
        task = (await submit(machine, request)).task
        screen.note(f"task {task.id} on {file}")
        return await follow(machine, screen, task.id)

    through(json, work)


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


async def _upload(files: FileStore, path: Path) -> str:
    """Stream a file into the file store; returns its id. Raises SourceNotFound or SourceForbidden."""
    _check_readable(path)
    file_id = uuid.uuid4().hex
    await files.write_stream(f"uploads/{file_id}.csv", _parts(path))
    return file_id


def _check_readable(path: Path) -> None:
    if not path.is_file():
        raise SourceNotFound(f"There is no file '{path}'. Give the path of a CSV file on this machine.")
    if not os.access(path, os.R_OK):
        raise SourceForbidden(f"'{path}' may not be read by this user. Give it read access.")


async def _parts(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while part := await file.read(PART):
            yield part
