"""A wire to a server that is far away, or out of reach."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.servers.wire import hang_up


class Distance:
    """What is sent takes `seconds` to arrive; answers come at once."""

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._is_cut = False
        self.port: int = self._listener.getsockname()[1]
        self.seconds = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Hang up on everybody, now and until it is mended."""
        self._is_cut = True
        for end in list(self._open):
            hang_up(end)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        hang_up(self._listener)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_cut:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                self._open |= {client, server}
                threading.Thread(target=self._pass_on, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, far: bool) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if far:
                    time.sleep(self.seconds)
                other.sendall(data)
        self._open -= {one}
        hang_up(other)


@contextmanager
def distance(port: int) -> Iterator[Distance]:
    """To the server at that port of this machine, until the block ends."""
    wire = Distance(port)
    try:
        yield wire
    finally:
        wire.close()
