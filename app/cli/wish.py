"""The options that say what is wanted of a table, the same for every command that takes one."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from rowvec.errors import SourceForbidden, SourceNotFound
from rowvec.intake import TaskRequest
from rowvec.machine import Machine
from rowvec.spec import Verify

File = Annotated[Path, typer.Argument(help="A CSV file anywhere on this machine.")]
Wish = Callable[[str, str], TaskRequest]
"""The request for a source's kind and what it calls the table."""


def wish(
    namespace: Annotated[
        str | None, typer.Option(help="Where the vectors go.", show_default="default")
    ] = None,
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
    encoding: Annotated[
        str | None, typer.Option(help="For example cp1252; UTF-8 and marked UTF-16 need none.")
    ] = None,
    verify: Annotated[
        Verify | None,
        typer.Option(
            help="Look for all that was written, or a sample of it, in the store before it is completed.",
            show_default="none",
        ),
    ] = None,
    repairs: Annotated[
        str | None, typer.Option(metavar="ID", help="The file has repaired rows of that task.")
    ] = None,
) -> Wish:
    """What these options ask for."""
    return lambda source, ref: TaskRequest(
        source=source,
        ref=ref,
        namespace=namespace,
        chunk_size=batch_size,
        delimiter=delimiter,
        encoding=encoding,
        id_column=id_column,
        text_columns=_names(text_columns),
        text_template=text_template,
        metadata_columns=None if metadata_columns is None else _names(metadata_columns),
        date_column=date_column,
        start_date=start_date,
        end_date=end_date,
        date_format=date_format,
        verify=verify,
        parent_id=repairs,
    )


def of_a_table(command: Callable[..., None]) -> Callable[..., None]:
    """A command of a file, a wish and more, with the options of `wish` in the wish's place."""
    asked = inspect.signature(wish, eval_str=True).parameters

    @wraps(command)
    def with_options(file: Path, **given: Any) -> None:
        wanted = {name: given.pop(name) for name in asked}
        command(file, wish(**wanted), **given)

    file, _, *more = inspect.signature(command, eval_str=True).parameters.values()
    shown: Any = with_options
    shown.__signature__ = inspect.Signature([file, *asked.values(), *more])
    return with_options


def here(machine: Machine, file: Path, wish: Wish) -> tuple[Machine, TaskRequest]:
    """What reads the file where it is, and the request for it: its folder takes the place of the one that a
    service may read. Raises SourceNotFound or SourceForbidden."""
    path = readable(file).resolve()
    settings = {**machine.settings, "LOCAL_FILES_DIR": str(path.parent)}
    return replace(machine, settings=settings), wish("local", path.name)


def readable(file: Path) -> Path:
    """Where the file is, from where the command was called. Raises SourceNotFound or SourceForbidden."""
    path = Path(os.environ.get("CALLED_FROM", "."), file.expanduser())
    if not path.is_file():
        raise SourceNotFound(f"There is no file '{path}'. Give the path of a CSV file on this machine.")
    if not os.access(path, os.R_OK):
        raise SourceForbidden(f"'{path}' may not be read by this user. Give it read access.")
    return path


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
