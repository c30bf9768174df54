"""A small HTTP/1.1 server whose answers can be late, cut short, or missing."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import h11

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` have lower-case names; `path` comes without its query."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` comes in parts. With `sent` below 1 only that share of it is sent, and the connection cut."""

    status: int
    body: Sequence[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: float = 1.0


class Hang(Exception):
    """No answer, and the connection stays open until the caller leaves."""


class Vanish(Exception):
    """The connection is closed without an answer."""


Handle = Callable[[Request], Awaitable[Answer]]


def listen(port: int) -> socket.socket:
    """A socket on this machine only; port 0 is any free one."""
    return socket.create_server(("127.0.0.1", port), backlog=512)


async def serve(handle: Handle, listener: socket.socket, supervised: bool = False) -> None:
    """Answer until told to end."""
    async with await start(handle, listener):
        await until_told(supervised)


async def until_told(supervised: bool) -> None:
    """Return when told to end: by SIGTERM or SIGINT or, supervised, by the end of standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if supervised:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    await stop.wait()


async def start(handle: Handle, listener: socket.socket) -> asyncio.Server:
    """Begin to answer, in this event loop."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Connection(handle, reader, writer).run()
        except (Vanish, ConnectionError, asyncio.CancelledError):
            pass  # the connection ends, as it was meant to, as the caller wanted, or with the stand-in
        finally:
            writer.close()

    return await asyncio.start_server(connected, sock=listener, limit=READ_BYTES)


class _Connection:
    def __init__(self, handle: Handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._handle = handle
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        while (request := await self._request()) is not None:
            await self._send(await self._answer(request))
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> Request | None:
        """The next request; None where the caller has left, or does not speak HTTP."""
        head: h11.Request | None = None
        body: list[bytes] = []
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                return None
            if event is h11.NEED_DATA:
                await self._read()
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and head:
                return _request(head, b"".join(body))
            else:
                return None

    async def _read(self) -> None:
        if self._http.they_are_waiting_for_100_continue:
            self._put(h11.InformationalResponse(status_code=100, headers=[]))
        self._http.receive_data(await self._reader.read(READ_BYTES))

    async def _answer(self, request: Request) -> Answer:
        try:
            return await self._handle(request)
        except Hang:
            while await self._reader.read(READ_BYTES):
                pass
            raise Vanish from None
        except (Vanish, ConnectionError):
            raise
        except Exception:  # noqa: BLE001 - a fault of the stand-in is shown, and answered as any server would
            traceback.print_exc()
            return Answer(500, [b"the stand-in is broken: see its standard error\n"])

    async def _send(self, answer: Answer) -> None:
        body = b"".join(answer.body)
        headers = {"content-length": str(len(body))} | dict(answer.headers)
        self._put(h11.Response(status_code=answer.status, headers=list(headers.items())))
        if answer.sent < 1:
            self._writer.write(body[: int(len(body) * answer.sent)])
            await self._writer.drain()
            raise Vanish
        self._put(h11.Data(data=body))
        self._put(h11.EndOfMessage())
        await self._writer.drain()

    def _put(self, event: h11.Event) -> None:
        """Raises ConnectionError when the caller has left."""
        if self._writer.is_closing():
            raise ConnectionResetError
        for part in self._http.send_with_data_passthrough(event) or ():
            self._writer.write(part)


def _request(head: h11.Request, body: bytes) -> Request:
    path, _, query = head.target.decode("ascii").partition("?")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    return Request(head.method.decode("ascii"), path, query, headers, body)
