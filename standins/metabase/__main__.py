"""`python -m standins.metabase --port 3000 --set api_key=mb_mine`: answers until it is interrupted."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Sequence

from standins import command
from standins.metabase.server import Server
from standins.metabase.state import State


def main(arguments: Sequence[str]) -> None:
    given = command.read("metabase", arguments)
    state = State()
    try:
        state.set(given.settings)
    except ValueError as error:
        given.refuse(error)
    server = Server(_listener(given.port, given.fd), state)
    sys.stderr.write(f"metabase stands in at {server.url}\n")
    if given.supervised:
        threading.Thread(target=_until_stdin_ends, args=(server,), daemon=True).start()
    else:
        sys.stderr.write(f"its x-api-key is {state.api_key}\n")
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        return


def _listener(port: int, fd: int | None) -> socket.socket:
    if fd is not None:
        return socket.socket(fileno=fd)
    return socket.create_server(("127.0.0.1", port), backlog=128)


def _until_stdin_ends(server: Server) -> None:
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
