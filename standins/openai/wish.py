"""A request's body → what is to be embedded, or why it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from standins.openai import refusals
from standins.openai.catalog import MAX_INPUT_TOKENS, MAX_INPUTS, MAX_REQUEST_TOKENS, MODELS
from standins.openai.tokens import weigh
from standins.openai.vectors import digest


class _Body(msgspec.Struct):
    input: Any
    model: str
    dimensions: int | None = None
    encoding_format: str = "float"
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that can be answered. `hashes` stand for its inputs, `tokens` is the sum of theirs; it is
    `marked` where one of them holds the marker. `spoilt` are the places of those whose vector will be wrong,
    and in what way."""

    model: str
    dimensions: int
    base64: bool
    hashes: list[bytes]
    tokens: int
    marked: bool
    spoilt: dict[int, str]


def read(body: bytes, marker: str | None, spoilt: Mapping[str, str]) -> Wish:
    """Raises Refused with the answer that OpenAI gives."""
    wish = _parsed(body)
    model = MODELS.get(wish.model)
    if model is None:
        raise refusals.no_such_model(wish.model)
    if wish.encoding_format not in ("float", "base64"):
        raise refusals.bad_field("encoding_format")
    dimensions = wish.dimensions
    if dimensions is not None and not model.shortens:
        raise refusals.no_dimensions()
    if dimensions is not None and not 1 <= dimensions <= model.dimensions:
        raise refusals.bad_field("dimensions")
    texts = _texts(wish.input)
    hashes, tokens = _weighed(texts)
    marked = marker is not None and any(marker in text for text in texts)
    base64 = wish.encoding_format == "base64"
    wrong = {place: way for mark, way in spoilt.items() for place, text in enumerate(texts) if mark in text}
    return Wish(wish.model, dimensions or model.dimensions, base64, hashes, tokens, marked, wrong)


def _parsed(body: bytes) -> _Body:
    try:
        return msgspec.json.decode(body, type=_Body)
    except msgspec.ValidationError as error:
        raise refusals.bad_field(_field(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refusals.bad_json() from error


def _field(complaint: str) -> str:
    """The field of msgspec's complaint, which quotes it as `$.name` or, where it is missing, as `name`."""
    return complaint.rsplit("`", 2)[-2].removeprefix("$.")


def _texts(given: Any) -> list[str]:
    """The inputs as texts; an array of token numbers is written out as one."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not given:
        raise refusals.bad_field("input")
    if all(type(item) is int for item in given):
        given = [given]
    if len(given) > MAX_INPUTS:
        raise refusals.bad_field("input")
    return [item if type(item) is str else _written_out(item) for item in given]


def _written_out(item: Any) -> str:
    if not isinstance(item, list) or not item or not all(type(number) is int for number in item):
        raise refusals.bad_field("input")
    return _TOKENS + " ".join(map(str, item))


_TOKENS = "\0tokens "


def _weighed(texts: list[str]) -> tuple[list[bytes], int]:
    """The hash of each input, and the tokens of all."""
    hashes: list[bytes] = []
    total = 0
    for text in texts:
        encoded = text.encode()
        count = text.count(" ") if text.startswith(_TOKENS) else weigh(text, encoded)
        if count > MAX_INPUT_TOKENS:
            raise refusals.too_long(count, MAX_INPUT_TOKENS)
        if not text or text.isspace():
            raise refusals.bad_field("input")
        total += count
        hashes.append(digest(encoded))
    if total > MAX_REQUEST_TOKENS:
        raise refusals.too_many_tokens(total, MAX_REQUEST_TOKENS)
    return hashes, total
