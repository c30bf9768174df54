"""`serve` and `worker`: the long-running processes."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer
import uvicorn

from app.cli.address import check_free, other_port
from app.cli.door import configured, explained
from app.cli.exits import Exit
from app.cli.screen import Screen
from app.workers import embedded

KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep a connection: who closes it first must not be we, with a request on its way."""


def serve(
    host: Annotated[str | None, typer.Option(help="HOST when not given.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="PORT when not given.")] = None,
) -> None:
    """Serve the API, with a worker beside it."""
    screen = Screen()
    with explained(screen):
        config = configured()
        host, port = host or config.host, port or config.port
        check_free(host, port, other_port(port, "serve"))
        screen.note(f"Serving on http://{host}:{port} with data in {config.data}. Stop with Ctrl-C.")
        # Only here: the other commands start without a web framework.
        from app.main import app
        from app.web.invitation import InvitingServer

        asked = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level=config.log_level.lower(),
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        with suppress(KeyboardInterrupt):
            InvitingServer(app, asked).run()
        screen.note("Stopped. What was submitted is kept, and goes on with: ./vectordb serve")


def worker() -> None:
    """Run a worker in the foreground."""
    with explained(Screen()):
        configured()
        raise typer.Exit(Exit.DONE if embedded.main([]) == 0 else Exit.FAILED)
