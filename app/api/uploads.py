"""A file on its way in: the bytes of a request as they arrive, never all of them at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.api.errors import DoorRefusal
from rowvec.errors import InvalidRequest

FIELD_BYTES = 1024
RAW_TYPES = ("application/octet-stream", "application/csv", "application/vnd.ms-excel")


@dataclass(slots=True)
class Incoming:
    """`parts` can be read once; `name` is what the caller calls the file, complete after reading.

    `fields` are what a form has before its file, each cut at FIELD_BYTES; there once the first part is.
    """

    parts: AsyncIterator[bytes]
    name: str = "upload.csv"
    fields: dict[str, bytes] = field(default_factory=dict)


def incoming(request: Request) -> Incoming:
    """The file of this request: its raw body, or the form field `file` of a multipart one.

    Raises DoorRefusal (415) for other bodies. A form from `curl -d` is one of them: it has lost its newlines.
    """
    header = request.headers.get("content-type", "")
    kind, options = parse_options_header(header)
    if kind == b"multipart/form-data":
        found = Incoming(parts=request.stream())
        found.parts = _FilePart(options.get(b"boundary", b""), found).read(request)
        return found
    if kind and not kind.startswith(b"text/") and kind.decode("latin-1") not in RAW_TYPES:
        raise DoorRefusal(
            "unsupported-media-type",
            "Send the file as it is with Content-Type: text/csv (curl -T FILE, or curl --data-binary @FILE "
            "-H 'Content-Type: text/csv'), or as the field `file` of a multipart form (curl -F file=@FILE).",
        )
    return Incoming(parts=request.stream())


@dataclass(slots=True)
class _FilePart:
    """Follows a multipart body and lets only the content of its field `file` through."""

    boundary: bytes
    into: Incoming
    found: int = 0
    _wanted: bool = False
    _field: str = ""
    _ended: bool = False
    _ready: list[bytes] = field(default_factory=list)
    _header: bytes = b""
    _value: bytes = b""
    _disposition: bytes = b""

    async def read(self, request: Request) -> AsyncIterator[bytes]:
        if not self.boundary:
            raise InvalidRequest("The multipart body's Content-Type names no boundary.", "Content-Type")
        try:
            parser = self._parser()
            async for data in request.stream():
                parser.write(data)
                for piece in self._take():
                    yield piece
            parser.finalize()
        except FormParserError as error:
            raise InvalidRequest("The multipart body is malformed.", "body") from error
        if not self._ended:
            raise InvalidRequest("The multipart body is cut: its last boundary is missing.", "body")
        if self.found != 1:
            raise InvalidRequest(f"The form needs one field `file`; it has {self.found}.", "file")

    def _take(self) -> list[bytes]:
        ready, self._ready = self._ready, []
        return ready

    def _parser(self) -> MultipartParser:
        return MultipartParser(
            self.boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def _begin(self) -> None:
        self._wanted = False
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        self._wanted = self._field == "file"
        if self._wanted:
            self.found += 1
            self.into.name = (
                _plain(options.get(b"filename", b"").decode("utf-8", "replace")) or self.into.name
            )

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted and self.found == 1:
            self._ready.append(data[start:end])
        elif not self.found and self._field:
            before = self.into.fields.get(self._field, b"")
            self.into.fields[self._field] = (before + data[start:end])[:FIELD_BYTES]

    def _end(self) -> None:
        self._ended = True


def _plain(name: str) -> str:
    """A name to show, not a path: its last part, printable, at most 255 characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:255]
