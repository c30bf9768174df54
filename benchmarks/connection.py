"""One kept connection that asks one thing at a time: what a client costs must not be what is measured."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PATIENCE = 60.0
BROKEN = (OSError, EOFError, TimeoutError, ValueError)
"""What a call raises that has no whole answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    kind: str
    body: bytes

    def json(self) -> Any:
        """What it says, None where that is no JSON."""
        return json.loads(self.body) if self.kind == "application/json" else None


class Connection:
    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._common = f"Host: 127.0.0.1:{port}\r\nX-API-Key: {key}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The whole answer, whatever its status. Raises one of BROKEN, and is not tried again."""
        more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"{method} {path} HTTP/1.1\r\n{self._common}{more}Content-Length: {len(body)}\r\n\r\n"
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
                self._streams = reader, writer
                writer.write(head.encode() + body)
                return await self._answer(reader)
        except BROKEN:
            self.close()
            raise

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "chunked" in fields.get("transfer-encoding", ""):
            body = await _in_chunks(reader)
        else:
            body = await reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            self.close()
        return Answer(int(first.split()[1]), fields.get("content-type", ""), body)


async def _in_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int(await reader.readline(), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)
