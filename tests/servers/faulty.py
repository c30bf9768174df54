"""A proxy before a real server, which answers some requests itself, or cuts the answers to them."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OWN_HEADERS = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")


@dataclass(frozen=True)
class Fault:
    """What to do to one request: answer it with `status` and `body`, or let it through and hang up after
    `cut_at` bytes of the answer, or give only its first `short_to` bytes and say that they are all."""

    status: int = 0
    body: bytes = b""
    cut_at: int | None = None
    short_to: int | None = None


@dataclass
class Faulty:
    """`faults` hit the next requests, one each; `always` every later one. `seen`: method, path and Range;
    `signed_by`: the AWS key's id."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    seen: list[tuple[str, str, str | None]] = field(default_factory=list)
    signed_by: list[str] = field(default_factory=list)

    def next_fault(self) -> Fault | None:
        return self.faults.pop(0) if self.faults else self.always


def s3_error(status: int, code: str, message: str = "In S3's own words.", more: str = "") -> Fault:
    """An error as S3 spells it."""
    return Fault(status, f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode())


@contextmanager
def before(upstream: str) -> Iterator[Faulty]:
    """A proxy before the server at that address, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    proxy = Faulty(f"http://127.0.0.1:{server.server_address[1]}")
    server.faulty, server.upstream = proxy, urlsplit(upstream).netloc  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        return

    def _serve(self) -> None:
        proxy: Faulty = self.server.faulty  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        proxy.seen.append((self.command, self.path, self.headers.get("range")))
        signed = re.search(r"Credential=([^/]*)/", self.headers.get("authorization", ""))
        proxy.signed_by.append(signed[1] if signed else "")
        fault = proxy.next_fault()
        if fault is not None and fault.status:
            return self._answer(fault.status, {}, fault.body, len(fault.body))
        status, headers, answer = self._forward(body)
        size = len(answer)
        if fault is not None and fault.cut_at is not None:
            self.close_connection = True
            answer = answer[: fault.cut_at]
        if fault is not None and fault.short_to is not None:
            answer = answer[: fault.short_to]
            size = len(answer)
        self._answer(status, headers, answer, size)

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream)  # type: ignore[attr-defined]
        try:
            upstream.request(self.command, self.path, body, dict(self.headers.items()))
            answer = upstream.getresponse()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in _OWN_HEADERS}
            if self.command == "HEAD":
                headers["content-length"] = answer.getheader("content-length", "0")
            return answer.status, headers, answer.read()
        finally:
            upstream.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, size: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in headers:
            self.send_header("content-length", str(size))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve
