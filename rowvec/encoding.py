"""What the bytes of a source are, told with certainty or by the caller, and their way to UTF-8."""

from __future__ import annotations

import codecs
import io
import re

from rowvec.errors import InvalidRequest, SourceDamaged

UTF8 = "utf-8"
_UTF8_NAMES = frozenset({UTF8, "utf-8-sig", "ascii"})
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"})
"""Codecs of text for other ends; some cannot be read in pieces, some spell what UTF-8 cannot."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
    (codecs.BOM_UTF8, UTF8, UTF8),
)
"""Byte order marks with what they say; UTF-32's begins like UTF-16's and is looked for before it."""
_COMPRESSIONS = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
_ARCHIVE = b"PK\x03\x04"
_HALVES = "surrogatepass"
HALF_A_PAIR = "half a surrogate pair, which alone is no character"


def compression_of(head: bytes) -> str:
    """`gzip`, `zstd`, or nothing: both begin like no text does, whatever the file is called."""
    return next((name for name, magic in _COMPRESSIONS.items() if magic.match(head)), "")


def encoding_of(head: bytes, declared: str | None) -> str:
    """The codec of a source that begins with `head`, unpacked; `utf-8` where it needs no conversion.

    A byte order mark is certain, else what is declared holds, else UTF-8. Raises InvalidRequest where
    the declared one is none, or not that of the mark, and SourceDamaged for what is no text.
    """
    codec = None if declared is None else _codec(declared)
    _refuse_archives(head)
    for mark, encoding, exact in _MARKS:
        if head.startswith(mark):
            if codec not in (None, encoding, exact):
                raise InvalidRequest(
                    f"The source begins with the byte order mark of {exact.upper()}, so it cannot be "
                    f"{declared!r}. Leave `encoding` out.",
                    "encoding",
                )
            return encoding
    if head and codec in ("utf-16", "utf-32"):
        raise InvalidRequest(
            f"The source has no byte order mark, which would say how its {codec.upper()} is laid out. "
            f"Declare {codec}-le or {codec}-be.",
            "encoding",
        )
    return codec or UTF8


def _codec(name: str) -> str:
    """Python's own name of a declared encoding. Raises InvalidRequest where it is none of text."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # refuses codecs that are not of text
        codec = codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise _unknown(name) from error
    if codec in _NO_CHARSETS:
        raise _unknown(name)
    return UTF8 if codec in _UTF8_NAMES else codec


def _unknown(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"{name!r} is no encoding of text that is known here. Name one as Python does, such as latin-1, "
        "cp1252 or utf-16-le, or convert the file to UTF-8 and leave `encoding` out.",
        "encoding",
    )


def _refuse_archives(head: bytes) -> None:
    what = "a zip archive or a spreadsheet" if head.startswith(_ARCHIVE) else compression_of(head)
    if what:
        raise SourceDamaged(
            f"The text of the source begins like {what}. Unpack it, or save it as CSV, and submit it again."
        )


def is_half_a_pair(data: bytes, place: int) -> bool:
    """Do the bytes at `place`, where they are no UTF-8, spell half a surrogate pair?"""
    return re.match(rb"\xed[\xa0-\xbf][\x80-\xbf]", data[place : place + 3]) is not None


class ToUtf8:
    """Turns text of one encoding into UTF-8, block by block; what is no such text fails, none is replaced.

    Half a surrogate pair, which UTF-16 and UTF-32 can spell and UTF-8 cannot, becomes the three bytes that it
    would have. They are no UTF-8, and cost the one record that holds them, as they do in a source of UTF-8.
    `whose` names, in messages, what the byte offsets count from.
    """

    def __init__(self, encoding: str, whose: str = "the source") -> None:
        self._encoding = encoding
        self._whose = whose
        self._decoder = codecs.getincrementaldecoder(encoding)(_HALVES)
        self._taken = 0

    def feed(self, block: bytes, final: bool) -> bytes:
        """The UTF-8 of what `block` completes; `final` says that nothing follows. Raises SourceDamaged."""
        self._taken += len(block)
        try:
            return self._decoder.decode(block, final).encode(UTF8, _HALVES)
        except UnicodeDecodeError as error:
            raise self._damaged(self._taken - len(error.object) + error.start, error.reason) from error
        except UnicodeError as error:  # an escape sequence that never ends; the decoder does not say where
            raise self._damaged(self._taken - len(block), str(error)) from error

    def _damaged(self, place: int, reason: str) -> SourceDamaged:
        return SourceDamaged(
            f"Byte {place} of {self._whose} is not {self._encoding}: {reason}. "
            "Submit it again with the right `encoding`, or mend it there."
        )
