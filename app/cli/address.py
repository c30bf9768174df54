"""An address to serve on, tried before the service starts so that a taken one is told in one line."""

from __future__ import annotations

import errno
import socket

from rowvec.errors import InvalidRequest


def check_free(host: str, port: int, remedy: str) -> None:
    """Raises InvalidRequest, with the remedy, when nobody could listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InvalidRequest(f"{_why(error, host, port)} {remedy}", "PORT") from error


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use by another program."
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights than this user has."
    return f"Nothing can listen on {host}, port {port}: {error.strerror}."


def other_port(port: int, target: str) -> str:
    """The remedy for a port that is taken."""
    other = port + 1 if port < 65535 else port - 1
    return f"Use another one: PORT={other} make {target}"
