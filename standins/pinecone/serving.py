"""The process: a port for each index, all in one event loop."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import grpc.aio

from standins import desk, web
from standins.desk import PREFIX
from standins.pinecone import front
from standins.pinecone.grpc_door import OPTIONS, handlers
from standins.pinecone.provider import Pinecone
from standins.pinecone.settings import Settings
from standins.web import Answer, Handle, Request


def main(arguments: Sequence[str]) -> int:
    provider = Pinecone(Settings())
    return desk.main("pinecone", provider, arguments, _Serving(provider).serve)


class _Serving:
    """The first index is served where the desk is; each other one on a port of its own."""

    def __init__(self, provider: Pinecone) -> None:
        self._provider = provider
        self._listening: dict[str, socket.socket] = {}
        self._running: list[grpc.aio.Server | asyncio.Server] = []
        self._starting: set[asyncio.Task[None]] = set()

    async def serve(self, handle: Handle, listener: socket.socket, supervised: bool) -> None:
        provider = self._provider
        with tempfile.TemporaryDirectory(prefix="standin-") as folder:

            def renew() -> None:
                """Every index listens before anybody is told where."""
                first, *others = provider.indexes
                provider.hosts = {first: _address(listener)}
                for name in others:
                    if name not in self._listening:
                        self._listening[name] = web.listen(0)
                        self._begin(self._open(name, self._listening[name], handle, Path(folder)))
                    provider.hosts[name] = _address(self._listening[name])

            renew()
            provider.on_change = renew
            await self._open("", listener, handle, Path(folder))
            await web.until_told(supervised)
            for server in self._running:
                if isinstance(server, asyncio.Server):
                    server.close()
                else:
                    await server.stop(0)

    def _begin(self, opening: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(opening)
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _open(self, name: str, listener: socket.socket, handle: Handle, folder: Path) -> None:
        """An index's front, and the two servers behind it; no name is the first index there is at the time.

        `handle` is the desk's.
        """
        provider = self._provider

        def meant() -> str:
            return name or next(iter(provider.indexes))

        behind = front.Behind(folder / f"{listener.fileno()}.http", folder / f"{listener.fileno()}.grpc")

        async def answer(request: Request) -> Answer:
            asks_desk = request.path.startswith(PREFIX)
            return await (handle(request) if asks_desk else provider.answer(meant(), request))

        http = socket.socket(socket.AF_UNIX)
        http.bind(str(behind.http))
        self._running.append(await web.start(answer, http))
        data_plane = grpc.aio.server(options=OPTIONS)
        data_plane.add_generic_rpc_handlers((handlers(lambda: provider.data_plane(meant())),))
        data_plane.add_insecure_port(f"unix:{behind.grpc}")
        await data_plane.start()
        self._running += [data_plane, await front.start(listener, behind)]


def _address(listener: socket.socket) -> str:
    address, port = listener.getsockname()
    return f"http://{address}:{port}"
