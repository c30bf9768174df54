"""`python -m standins.metabase --port 3000`: answers until it is interrupted."""

from __future__ import annotations

import argparse
import secrets
import sys
import threading

from standins.metabase.server import Server, serve
from standins.metabase.state import State


def main() -> None:
    options = _options()
    state = State(options.api_key, options.username, options.password)
    server = serve(options.host, options.port, state)
    _say(f"http://{options.host}:{server.server_address[1]}")
    if options.ends_with_stdin:
        threading.Thread(target=_until_stdin_ends, args=(server,), daemon=True).start()
    else:
        _say(f"x-api-key: {state.api_key}\nusername: {state.username}\npassword: {state.password}")
    try:
        server.serve_forever(poll_interval=0.05)
    except KeyboardInterrupt:
        return


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _until_stdin_ends(server: Server) -> None:
    sys.stdin.read()
    server.shutdown()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m standins.metabase", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="any free one when not given; printed first")
    parser.add_argument("--api-key", default=f"mb_{secrets.token_urlsafe(24)}", help="made up and printed")
    parser.add_argument("--username", default="someone@example.com")
    parser.add_argument("--password", default=secrets.token_urlsafe(12), help="made up and printed")
    parser.add_argument("--ends-with-stdin", action="store_true", help="end when standard input does")
    return parser.parse_args()


if __name__ == "__main__":
    main()
