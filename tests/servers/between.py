"""A server that stands between a client and a DynamoDB, and counts, refuses or loses what a test names."""

from __future__ import annotations

import http.client
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Refuse:
    """Answered with this error; the server behind never hears of it."""

    code: str
    status: int = 400


@dataclass(frozen=True)
class Lose:
    """Done by the server behind, and then the connection ends without an answer."""


@dataclass(frozen=True)
class Hold:
    """Sent on once the event is set."""

    until: threading.Event


Fault = Refuse | Lose | Hold | None


@dataclass
class Between:
    """`asked` and `answered` hold what went through, by operation (`PutItem`, …)."""

    target: tuple[str, int]
    url: str = ""
    asked: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    answered: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    _faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))

    def next(self, operation: str, *faults: Fault) -> None:
        """What becomes of the next calls of that operation, one after the other; None: nothing special."""
        self._faults[operation] += faults

    def forget(self) -> None:
        self.asked.clear()
        self.answered.clear()

    def calls(self) -> int:
        return sum(map(len, self.asked.values()))

    def handle(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes] | None:
        """Status and body of the answer; None where it is lost."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        self.asked[operation].append(json.loads(body))
        fault = self._faults[operation].pop(0) if self._faults[operation] else None
        if isinstance(fault, Refuse):
            return fault.status, json.dumps({"__type": f"x#{fault.code}", "message": "no"}).encode()
        if isinstance(fault, Hold):
            fault.until.wait(60)
        status, answer = self._send_on(request, body)
        self.answered[operation].append(json.loads(answer))
        return None if isinstance(fault, Lose) else (status, answer)

    def _send_on(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.target, timeout=60)
        try:
            connection.request("POST", "/", body, dict(request.headers.items()))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def items_read(self) -> int:
        """How many items the answers to queries and batches brought."""
        queried = sum(len(answer["Items"]) for answer in self.answered["Query"])
        batches: Sequence[Any] = self.answered["BatchGetItem"]
        return queried + sum(len(items) for answer in batches for items in answer["Responses"].values())


@contextmanager
def between(url: str) -> Iterator[Between]:
    """Before the server at that address, until the block ends."""
    host, _, port = url.removeprefix("http://").partition(":")
    there = Between((host, int(port)))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = there.handle(self)
            if answer is None:
                return
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        log_message: Callable[..., None] = lambda *_: None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
