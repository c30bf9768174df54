"""The stand-in's filters see the same in metadata as it is kept as in metadata that is decoded."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as some

from standins.pinecone.filters import Filter

WORDS = some.text('"\\\\{},:ab', max_size=3)
NAMES = WORDS.filter(lambda name: not name.startswith("$"))
METADATA = some.dictionaries(NAMES, WORDS | some.lists(WORDS, max_size=2) | some.floats(0, 2), max_size=4)


@given(METADATA, NAMES, WORDS)
def test_what_must_not_be_there_is_found_without_decoding(
    metadata: dict[str, object], name: str, value: str
) -> None:
    """Also beside names and values that hold quotes, commas and braces."""
    alike = {f'{value}"{name}': value, f'"{name}': value}
    for held in (metadata, metadata | {name: value}, metadata | {name: [value]}, metadata | alike):
        wanted = Filter({name: {"$ne": value}})
        assert wanted.matches_json(msgspec.json.encode(held)) == wanted.matches(held)
