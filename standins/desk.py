"""`/_standin/…`: where a test sees what a stand-in counted, and tells it how to behave.

GET  /_standin/counters     what was counted since the start or the last reset
POST /_standin/reset        counts, rates and the script of faults begin anew
GET  /_standin/settings     how it behaves now
POST /_standin/settings     the settings to change; the others stay
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from standins import command
from standins.web import Answer, Handle, Request, listen, serve

PREFIX = "/_standin/"
JSON = {"content-type": "application/json"}


class Provider(Protocol):
    """A stand-in as the desk sees it. `settings` is a frozen msgspec Struct that checks its own values.

    `inquiries` answer a POST of their name with what they say to its document.
    """

    @property
    def settings(self) -> Any: ...

    @property
    def inquiries(self) -> Mapping[str, Callable[[Any], Any]]: ...

    def apply(self, settings: Any) -> None:
        """Behave like this from now on. Raises ValueError when these settings make no sense."""

    def reset(self) -> None:
        """Forget what was counted, with full buckets."""

    def counters(self) -> dict[str, Any]:
        """What was counted, as JSON takes it."""

    async def handle(self, request: Request) -> Answer:
        """Answer as the provider does."""


def change(settings: Any, wishes: dict[str, Any]) -> Any:
    """The settings with these changed. Raises ValueError for a name or a value that is none."""
    known = {name: getattr(settings, name) for name in settings.__struct_fields__}
    try:
        return msgspec.convert(msgspec.to_builtins(known) | wishes, type(settings))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


async def attend(provider: Provider, request: Request) -> Answer:
    """The desk's answer, or the provider's."""
    if not request.path.startswith(PREFIX):
        return await provider.handle(request)
    routes: dict[tuple[str, str], Callable[[], Any]] = {
        ("GET", "counters"): provider.counters,
        ("POST", "reset"): provider.reset,
        ("GET", "settings"): lambda: provider.settings,
        ("POST", "settings"): lambda: _set(provider, request.body),
    }
    name = request.path.removeprefix(PREFIX)
    inquiry = provider.inquiries.get(name)
    if inquiry:
        routes["POST", name] = lambda: inquiry(msgspec.json.decode(request.body))
    route = routes.get((request.method, name))
    if route is None:
        return _said(404, {"detail": "no such desk"})
    try:
        return _said(200, route())
    except (ValueError, msgspec.DecodeError) as error:
        return _said(400, {"detail": str(error)})


def _set(provider: Provider, body: bytes) -> Any:
    provider.apply(change(provider.settings, msgspec.json.decode(body, type=dict[str, Any])))
    return provider.settings


def _said(status: int, document: Any) -> Answer:
    return Answer(status, [msgspec.json.encode(document)], JSON)


Serve = Callable[[Handle, socket.socket, bool], Coroutine[Any, Any, None]]


def main(name: str, provider: Provider, arguments: Sequence[str], serving: Serve = serve) -> int:
    """Run a stand-in as a process: `python -m standins.NAME --port 8100 --set latency='{"mean": 0.25}'`."""
    given = command.read(name, arguments)
    try:
        provider.apply(change(provider.settings, given.settings))
    except ValueError as error:
        given.refuse(error)
    listener = listen(given.port) if given.fd is None else socket.socket(fileno=given.fd)
    sys.stderr.write(f"{name} stands in at http://127.0.0.1:{listener.getsockname()[1]}\n")
    asyncio.run(serving(lambda request: attend(provider, request), listener, given.supervised))
    return 0
