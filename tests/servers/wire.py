"""A wire to a server that is cut at the worst moment: the client never hears what came of its message."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Wire:
    """Passes bytes on both ways, until a message that `cut_at` was told of.

    That message arrives, and the client is hung up on when the server has answered. With `late` the client
    is hung up on at once, and the message arrives when `deliver` is called.
    """

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._word = b""
        self._late = False
        self._delivered = threading.Event()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at(self, word: bytes, late: bool = False) -> None:
        """The next message with this word in it is the one."""
        self._late = late
        self._delivered.clear()
        self._word = word

    def deliver(self) -> None:
        self._delivered.set()

    def close(self) -> None:
        self.deliver()
        hang_up(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                deaf = threading.Event()
                for way in (self._ask, self._answer):
                    threading.Thread(target=way, args=(client, server, deaf), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._word and self._word in data:
                    self._word = b""
                    self.cuts += 1
                    deaf.set()
                    if self._late:
                        hang_up(client)
                        self._delivered.wait()
                server.sendall(data)
        if not deaf.is_set():
            hang_up(server)

    def _answer(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with suppress(OSError):
            while (data := server.recv(65536)) and not deaf.is_set():
                client.sendall(data)
        hang_up(client)
        hang_up(server)


def hang_up(connection: socket.socket) -> None:
    """Both ways; who waits at either end hears of it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def to(port: int) -> Iterator[Wire]:
    """A wire to that port until the block ends."""
    wire = Wire(port)
    try:
        yield wire
    finally:
        wire.close()
