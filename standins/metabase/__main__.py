"""`python -m standins.metabase --port 3000 --set api_key=mb_mine`: answers until it is interrupted."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from standins.metabase.server import Server
from standins.metabase.state import State


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m standins.metabase", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen on 127.0.0.1 (any free port)")
    parser.add_argument("--fd", type=int, help="a socket that listens already, instead of a port")
    parser.add_argument("--supervised", action="store_true", help="end with standard input")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=JSON", help="a setting; repeatable"
    )
    options = parser.parse_args(arguments)
    state = State()
    try:
        state.set(dict(map(_pair, options.set)))
    except ValueError as error:
        parser.error(str(error))
    server = Server(_listener(options.port, options.fd), state)
    sys.stderr.write(f"metabase stands in at {server.url}\n")
    if options.supervised:
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


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set takes NAME=JSON, not '{text}'")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


if __name__ == "__main__":
    main(sys.argv[1:])
