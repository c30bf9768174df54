"""Ports for servers that are killed and come back on the same one."""

from __future__ import annotations

import random
import socket

LOW, HIGH = 15_000, 32_000
"""Below the ports of outgoing connections, one of which might sit on a port whose server is down."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    while True:
        port = random.randrange(LOW, HIGH)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
