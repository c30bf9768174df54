"""The way from a command into the machine, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError

from app.assembly import assemble
from app.cli.exits import Exit, exit_of
from app.cli.screen import Screen
from app.config import Settings, settings
from app.logs import configure_logging
from rowvec.errors import NotConfigured, RowvecError
from rowvec.machine import Machine

Work = Callable[[Machine, Screen], Awaitable[Exit]]


def through(as_json: bool, work: Work) -> None:
    """Run `work` on a machine that is ready, and leave with its exit code."""
    screen = Screen(as_json)
    code = Exit.INTERRUPTED
    with explained(screen):
        code = asyncio.run(_opened(work, screen))
    raise typer.Exit(code)


@contextmanager
def explained(screen: Screen) -> Iterator[None]:
    """Whatever goes wrong inside ends the command with one line and the exit code that it means."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        screen.note("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from interrupt
    except RowvecError as error:
        screen.error(error.code, error.message)
        raise typer.Exit(exit_of(error)) from error


def configured() -> Settings:
    """The settings, with logging as they say. Raises NotConfigured for a setting that cannot be read."""
    try:
        config = settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise NotConfigured(f"A setting cannot be read: {wrong}. See .env.example.") from error
    configure_logging("WARNING" if routine(config) else config.log_level, config.secrets)
    return config


def routine(config: Settings) -> bool:
    """Does the log hold what goes well, too? That is for services; at a terminal it hides the answer."""
    return config.log_level.upper() == "INFO"


async def _opened(work: Work, screen: Screen) -> Exit:
    machine = assemble(configured())
    try:
        await machine.ledger.ready()
        return await work(machine, screen)
    except RowvecError as error:
        machine.redact.clean(error)
        raise
    finally:
        await machine.close()
