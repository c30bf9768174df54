"""A row → the clean text that is embedded, the passages it is split into, and its id."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from html import unescape
from html.entities import html5
from string import Formatter
from unicodedata import is_normalized, normalize

from rowvec.errors import InvalidRequest

# Zero-width joiners belong to words of many scripts and to emoji; the marks U+0600-0605, 06DD, 070F,
# 0890-0891, 08E2, 110BD, 110CD and the hieroglyph controls are of the same category but can be seen.
_INVISIBLE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
    "\ud800-\udfff"
)
_DROPPED = re.compile(f"[{_INVISIBLE}]+")
_ODD_SPACES = re.compile("[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_BREAKS = re.compile("\r\n?|[\u2028\u2029]")
_BLANK_LINES = re.compile(r"\n(?: ?\n)+")
_STRAY_JOINERS = re.compile("(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]+")
_PLAIN = bytes(range(32, 127)) + b"\n"
_NUMBER = re.compile(r"#(?:[0-9]+|[xX][0-9a-fA-F]+)")
_JOINERS = ("\u200c", "\u200d")
_LONGEST_ENTITY = max(map(len, html5)) + 1

CountTokens = Callable[[Sequence[str]], list[int]]


def clean(text: str) -> str:
    """The text as it is embedded; what is clean already comes out as it went in.

    NFC; HTML entities decoded until none is left (`&amp;lt;` is `<`; only with their `;`, so that a query
    string keeps its `&copy=`); control and invisible characters dropped, but zero-width joiners kept after
    a character beyond ASCII; line ends are `\\n`; runs of spaces one space, of blank lines one blank line.
    """
    if _is_clean(text):
        return text
    text = _visible(text)
    if "&" in text and ";" in text:
        decoded = _decoded(text)
        text = text if decoded == text else _visible(decoded)
    if _has_blank_lines(text):
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip(" \n")


def _is_clean(text: str) -> bool:
    """Whether cleaning surely changes nothing; most rows, and found out in a microsecond or two."""
    return (
        "&" not in text
        and text.strip(" \n") == text
        and _is_visible(text)
        and not ("\n" in text and _has_blank_lines(text))
    )


def _has_blank_lines(text: str) -> bool:
    return "\n\n\n" in text or "\n \n" in text


def _is_visible(text: str) -> bool:
    return "  " not in text and _is_printable(text) and (text.isascii() or is_normalized("NFC", text))


def _is_printable(text: str) -> bool:
    """What `str.isprintable` says yes to is never dropped, and of spaces it knows only the plain one.

    Of ASCII the same is said by `bytes.translate`, in a fourth of the time.
    """
    if text.isascii():
        return not text.encode().translate(None, _PLAIN)
    return text.isprintable() or text.replace("\n", "").isprintable()


def _visible(text: str) -> str:
    """Only characters that can be seen, in NFC, with plain spaces and line ends."""
    if not _is_printable(text):
        text = _ODD_SPACES.sub(" ", _DROPPED.sub("", _BREAKS.sub("\n", text)))
    if not text.isascii():
        text = normalize("NFC", text)
        if any(joiner in text for joiner in _JOINERS):
            text = normalize("NFC", _STRAY_JOINERS.sub("", text))
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def _decoded(text: str) -> str:
    """The text without any entity, also none that decoding brought about.

    Left to right: at each `;` only the last characters can complete an entity.
    """
    *pieces, rest = text.split(";")
    done: list[str] = []
    tail = ""
    for piece in pieces:
        tail = _settled(tail + piece + ";")
        done.append(tail[:-_LONGEST_ENTITY])
        tail = tail[-_LONGEST_ENTITY:]
    return "".join((*done, tail, rest))


def _settled(tail: str) -> str:
    """`tail` with the entity at its end decoded, and the one this completes, and so on."""
    while tail.endswith(";"):
        start = tail.rfind("&", -_LONGEST_ENTITY)
        decoded = _entity(tail[start + 1 : -1]) if start >= 0 else None
        if decoded is None:
            break
        tail = tail[:start]
        if decoded in _JOINERS and tail[-1:].isascii():
            decoded = ""
        tail += decoded
    return tail


@lru_cache(4096)
def _entity(name: str) -> str | None:
    """What `&name;` stands for, as far as it can be seen; None where it is no entity."""
    found = unescape(f"&{name};") if _NUMBER.fullmatch(name) else html5.get(name + ";")
    if found is None or found == "\ufffd":
        return None
    return found if found in _JOINERS else _visible(found)


class Template:
    """How the values of a row become one text: `render` gives it as it stands, not cleaned.

    With `text_template` the columns' values take their places. With one text column the text is its
    value, with several (by default all) it is a `name: value` line for each that is not empty. A row
    whose columns are all empty gives an empty text. Raises InvalidRequest, naming the field.
    """

    def __init__(self, header: Sequence[str], text_columns: Sequence[str], text_template: str | None) -> None:
        places = {name: place for place, name in enumerate(header)}
        if text_template is not None:
            if text_columns:
                raise InvalidRequest("Give text_columns or text_template, not both.", "text_template")
            self._parts = list(_template_parts(text_template, places))
            self._separator = ""
            return
        names = list(text_columns or header)
        for name in names:
            if name not in places:
                raise _unknown(name, places, "text_columns")
        labelled = len(names) > 1 or not text_columns
        self._parts = [(f"{name}: " if labelled else "", places[name]) for name in names]
        self._separator = "\n"

    def render(self, values: Sequence[str]) -> str:
        """The text of a row; `values` are as many as the header's names."""
        if self._separator:
            filled = [label + values[place] for label, place in self._parts if values[place].strip()]
            return self._separator.join(filled)
        places = [place for _, place in self._parts if place >= 0]
        if not any(values[place].strip() for place in places):
            return ""
        return "".join([text + values[place] if place >= 0 else text for text, place in self._parts])


def _template_parts(template: str, places: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Literal text and the place of the column that follows it; -1 where none does."""
    field = "text_template"
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise InvalidRequest(
            f"text_template has a brace that does not fit: {error}. Write {{{{ for {{.", field
        ) from error
    if all(name is None for _, name, _, _ in parts):
        raise InvalidRequest("text_template names no column. Write one as {name}.", field)
    for literal, name, spec, conversion in parts:
        if spec or conversion:
            raise InvalidRequest(f"text_template may only name columns; {{{name}}} has a format.", field)
        if name is not None and name not in places:
            raise _unknown(name, places, field)
        yield literal, -1 if name is None else places[name]


def _unknown(name: str, places: dict[str, int], field: str) -> InvalidRequest:
    known = ", ".join(repr(column[:80]) for column in list(places)[:20])
    return InvalidRequest(f"{field} names {name[:80]!r}, which is no column. The columns are {known}.", field)


_BORDERS = (re.compile(r"\n\n"), re.compile(r"(?<=[.!?…。！？])\s|\n"), re.compile(r"\s"))


def passages(text: str, max_tokens: int, count_tokens: CountTokens) -> list[str]:
    """The text in passages of at most `max_tokens`, each beginning with the last tenth of the one before.

    They end at a paragraph, else a sentence, else a space, where one lies in their last third. A text that
    fits is one passage. A single character is never split, whatever it counts.
    """
    if len(text) <= max_tokens and len(text.encode()) <= max_tokens:
        return [text]
    found: list[str] = []
    start, guess = 0, len(text)
    while True:
        end = _fitting(text, start, guess, max_tokens, count_tokens)
        found.append(text[start:end].strip())
        if end == len(text):
            return [passage for passage in found if passage]
        guess = max((end - start) * 5 // 4, 1)
        start = _overlapped(text, start, end)


def _fitting(text: str, start: int, guess: int, max_tokens: int, count_tokens: CountTokens) -> int:
    """Where the passage from `start` ends; `guess` is how many characters may fit."""
    size = min(guess, len(text) - start)
    while True:
        end = start + size
        if end < len(text):
            end = _border(text, start, end)
        [tokens] = count_tokens([text[start:end].strip()])
        if tokens <= max_tokens or end - start <= 1:
            return end
        size = max(min((end - start) * max_tokens * 19 // (tokens * 20), end - start - 1), 1)


def _border(text: str, start: int, end: int) -> int:
    """The last good place to end at or before `end`, no earlier than two thirds of the way."""
    earliest = start + (end - start) * 2 // 3
    for border in _BORDERS:
        places = [match.end() for match in border.finditer(text, max(earliest, start + 1), end)]
        if places:
            return places[-1]
    return end


def _overlapped(text: str, start: int, end: int) -> int:
    """Where the next passage begins: at a word in the last tenth of the one from `start` to `end`."""
    earliest = max(end - (end - start) // 10, start + 1)
    space = _BORDERS[-1].search(text, earliest, end)
    return space.end() if space else earliest


_PLAIN_ID = 512


def row_id(value: str, id_prefix: str) -> str | None:
    """The id of a row from its id column; None where that is empty.

    `#` is written `%23` (it sets passages apart) and `%` as `%25`. What is not 1 to 512 printable ASCII
    characters then is hashed behind the prefix.
    """
    if not value.strip():
        return None
    plain = _escaped(id_prefix + value)
    if len(plain) <= _PLAIN_ID and plain.isascii() and plain.isprintable():
        return plain
    return _escaped(id_prefix) + blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def content_id(columns: Sequence[str], values: Sequence[str], id_prefix: str) -> str:
    """The id of a row without an id column: a hash of its columns' names and values."""
    digest = _named(tuple(columns)).copy()
    digest.update("\0".join(values).encode("utf-8", "surrogatepass"))
    return _escaped(id_prefix) + digest.hexdigest()


def passage_id(row_id: str, number: int) -> str:
    """The id of passage `number` (from 1) of a row that has several; hashed where it would be too long."""
    plain = f"{row_id}#{number}"
    if len(plain) <= _PLAIN_ID:
        return plain
    return f"{blake2b(row_id.encode(), digest_size=16).hexdigest()}#{number}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("#", "%23")


@lru_cache(64)
def _named(columns: tuple[str, ...]) -> blake2b:
    """A hash that holds the names already. Names are never empty and hold no NUL, so that two end them."""
    return blake2b(("\0".join(columns) + "\0\0").encode("utf-8", "surrogatepass"), digest_size=16)
