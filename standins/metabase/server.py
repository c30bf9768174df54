"""The HTTP of it: Metabase's own paths, and `/_standin/…` to arrange things and to ask what happened."""

from __future__ import annotations

import csv
import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from standins.metabase.body import blocks, error_json
from standins.metabase.faults import Fault
from standins.metabase.questions import Question, lines
from standins.metabase.state import State


class Server(ThreadingHTTPServer):
    """Answers on a socket that listens already."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, state: State) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.state = state

    @property
    def url(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"http://{host}:{port}"


class _HungUp(Exception):
    """The reply ends here, whatever it has promised."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: ARG002 (the base's signature)
        return

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self._query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self._body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = url.path.strip("/").split("/")
        try:
            if parts[0] == "_standin":
                self._control(parts[1:])
            else:
                self._metabase(parts)
        except (_HungUp, BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    # Metabase

    def _metabase(self, parts: list[str]) -> None:
        match (self.command, parts):
            case ("POST", ["api", "session"]):
                self._session()
            case ("GET", ["api", "card", number]):
                self._about(number, "card", self._card)
            case ("POST", ["api", "card", number, "query", "csv"]):
                self._about(number, "export", self._export)
            case ("GET", ["api", "user", "current"]):
                self._who()
            case ("GET", ["api", "health"]):
                self._json(200, {"status": "ok"})
            case _:
                self._text(404, "API endpoint does not exist.")

    def _session(self) -> None:
        self.server.state.count("session")
        if self._suffers(self.server.state.fault("session")):
            return
        given = self._given()
        session = self.server.state.log_in(given.get("username"), given.get("password"))
        if session is None:
            self._json(401, {"errors": {"password": "did not match stored password"}})
        else:
            self._json(200, {"id": session})

    def _who(self) -> None:
        if self.server.state.knows(self.headers.get("x-api-key"), self.headers.get("x-metabase-session")):
            self._json(200, {"id": 1, "common_name": "Somebody"})
        else:
            self._text(401, "Unauthenticated")

    def _about(self, number: str, place: Any, answer: Callable[[Question, Fault | None], None]) -> None:
        state = self.server.state
        state.count(place)
        fault = state.fault(place)
        if self._suffers(fault):
            return
        if not state.knows(self.headers.get("x-api-key"), self.headers.get("x-metabase-session")):
            self._text(401, "Unauthenticated")
            return
        question = state.questions.get(int(number)) if number.isdigit() else None
        if question is None:
            self._text(404, "Not found.")
        elif question.forbidden:
            self._text(403, "You don't have permissions to do that.")
        elif question.archived:
            self._json(404, {"message": "The object has been archived.", "error_code": "archived"})
        else:
            answer(question, fault)

    def _suffers(self, fault: Fault | None) -> bool:
        """True where the fault was the whole answer."""
        if fault is None:
            return False
        if fault.kind == "slow" and not fault.after:
            time.sleep(fault.seconds)
        if fault.kind != "status":
            return False
        headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
        self._send(fault.status, "text/plain", fault.body.encode(), headers)
        return True

    def _card(self, question: Question, _: Fault | None) -> None:
        self._json(200, {"id": question.id, "name": question.name, "archived": False, "type": "question"})

    def _export(self, question: Question, fault: Fault | None) -> None:
        state = self.server.state
        if fault is not None and fault.kind == "error_instead":
            self._send(state.status, "application/json", error_json(fault))
            return
        packed = state.gzip and "gzip" in self.headers.get("accept-encoding", "")
        formatted = str(self._given().get("format_rows", self._query.get("format_rows"))).lower() != "false"
        records = lines(question, formatted, state.row_cap)
        self._stream(question, blocks(records, fault, packed), fault, packed)

    def _stream(self, question: Question, pieces: Iterator[bytes], fault: Fault | None, packed: bool) -> None:
        """Metabase does not let a connection be used again after a streamed reply."""
        chunked = fault is None or fault.kind != "no_end"
        self.close_connection = True
        self.send_response(self.server.state.status)
        self.send_header("Content-Type", "text/csv")
        name = "".join(c if c.isalnum() else "_" for c in question.name).lower()
        self.send_header("Content-Disposition", f'attachment; filename="{name}.csv"')
        self.send_header("Connection", "close")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in filter(None, pieces):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if fault is not None and fault.kind == "close":
            raise _HungUp
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.server.state.count("exported")

    # Control

    def _control(self, parts: list[str]) -> None:
        try:
            answer = self._steered(parts)
        except (ValueError, TypeError, csv.Error) as error:
            self._json(400, {"detail": str(error)})
        else:
            self._json(200, answer)

    def _steered(self, parts: list[str]) -> dict[str, Any]:
        state = self.server.state
        match (self.command, parts):
            case ("GET", ["counters"]):
                return dict(state.counters)
            case ("GET", ["settings"]):
                return state.settings
            case ("POST", ["settings"]):
                state.set(self._given())
                return state.settings
            case ("POST", ["reset"]):
                state.reset()
            case ("POST", ["faults"]):
                state.faults.add(Fault.of(self._given()))
            case ("DELETE", ["faults"]):
                state.faults.clear()
            case ("DELETE", ["sessions"]):
                state.sessions.clear()
            case (_, ["questions", number]):
                self._arrange(int(number))
            case _:
                raise ValueError("there is no such desk")
        return {}

    def _arrange(self, number: int) -> None:
        """PUT makes or replaces a question, DELETE forgets it."""
        questions = self.server.state.questions
        if self.command == "PUT":
            questions[number] = self._question(number)
        else:
            questions.pop(number, None)

    def _question(self, number: int) -> Question:
        """The table is the CSV in the body; or `?rows=N` makes one up. Also `?forbidden=1`, `?archived=1`."""
        asked = self._query
        question = Question(number, asked.get("name", f"Question {number}"), self._body.decode())
        if "rows" in asked:
            question = replace(question, generated=int(asked["rows"]))
        for _ in question.rows() if question.generated is None else ():
            continue  # a table that is none is refused here
        return replace(question, forbidden="forbidden" in asked, archived="archived" in asked)

    # Answers

    def _given(self) -> dict[str, Any]:
        """The JSON object of the body; empty where there is none."""
        try:
            given = json.loads(self._body or b"{}")
        except ValueError:
            return {}
        return given if isinstance(given, dict) else {}

    def _json(self, status: int, answer: dict[str, Any]) -> None:
        self._send(status, "application/json;charset=utf-8", json.dumps(answer).encode())

    def _text(self, status: int, answer: str) -> None:
        self._send(status, "text/plain", answer.encode())

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Type": kind, "Content-Length": str(len(body))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
