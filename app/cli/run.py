"""`run FILE`: a table of this machine into the index, followed to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio

from app.cli.door import through
from app.cli.exits import Exit
from app.cli.follow import follow
from app.cli.screen import Json, Screen
from app.cli.wish import File, Wish, of_a_table, readable
from rowvec.filestores.base import FileStore
from rowvec.intake import submit
from rowvec.machine import Machine
from rowvec.uploads import new_upload_id, upload_name

PART = 1024 * 1024
"""Bytes read at a time."""


@of_a_table
def run(file: File, wish: Wish, json: Json = False) -> None:
    """Put a table into the index and follow it to the end."""

    async def work(machine: Machine, screen: Screen) -> Exit:
        try:
            file_id = await _upload(machine.files, readable(file))
            task = (await submit(machine, replace(wish("upload", file_id), title=file.name))).task
        except asyncio.CancelledError:
            screen.note("Nothing was submitted. Go on with the same command.")
            raise
        screen.note(f"task {task.id} on {file}")
        return await follow(machine, screen, task.id)

    through(json, work)


async def _upload(files: FileStore, path: Path) -> str:
    """Stream a file into the file store; returns its id."""
    file_id = new_upload_id()
    await files.write_stream(upload_name(file_id), _parts(path))
    return file_id


async def _parts(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while part := await file.read(PART):
            yield part
