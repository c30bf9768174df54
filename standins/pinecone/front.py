"""One port for both protocols, as Pinecone has it: HTTP/2 connections go to gRPC, others to HTTP/1.1."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from pathlib import Path

_PREFACE = b"PRI "
"""What every HTTP/2 connection begins with (RFC 9113)."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The sockets of the two servers behind a front."""

    http: Path
    grpc: Path


async def start(listener: socket.socket, behind: Behind) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Front(behind), sock=listener)


@dataclass(eq=False)
class _End(asyncio.Protocol):
    """One end of a connection: what it receives is written to the other one, no faster than that takes it."""

    other: _End | None = None
    transport: asyncio.Transport | None = field(default=None, repr=False)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other and self.other.transport and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        if self.other and self.other.transport:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()


class _Front(_End):
    """The caller's end. It reads until it knows which server is meant, then connects the two."""

    def __init__(self, behind: Behind) -> None:
        super().__init__()
        self._behind = behind
        self._first = b""
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # asyncio does so itself only for sockets that were made with a protocol number.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self.other:
            super().data_received(data)
            return
        self._first += data
        if self._connecting is None and (
            len(self._first) >= len(_PREFACE) or not _PREFACE.startswith(self._first)
        ):
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        path = self._behind.grpc if self._first.startswith(_PREFACE) else self._behind.http
        loop = asyncio.get_running_loop()
        _, back = await loop.create_unix_connection(lambda: _End(self), str(path))
        self.other = back
        super().data_received(self._first)
        self._first = b""
        if self.transport is None or self.transport.is_closing():
            self.connection_lost(None)
