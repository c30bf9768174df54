"""The stand-in's filters: the same in metadata as it is kept as in metadata that is decoded, page by page."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from standins.pinecone.filters import Filter
from standins.pinecone.namespace import FEW, Namespace, packed
from standins.pinecone.shelf import Shelf

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


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """Vectors of three colours, one of them rare, and of two sizes; some have none."""
    shelf = Shelf()
    space = Namespace(shelf)
    for n in range(4 * FEW):
        colour = "rare" if n in (5, 40) else ["red", "blue"][n % 2]
        fields = {"colour": colour, "sizes": ["s", "m"] if n % 3 else []} if n % 7 else {}
        raw = msgspec.json.encode(fields)
        space.put({f"v{n:03}": packed(b"", b"", -1, shelf.put(raw), len(raw))}, 0.0, 0.0)
    yield space
    shelf.close()


@pytest.mark.parametrize(
    "spec",
    [
        {"colour": "red"},
        {"colour": "rare"},
        {"colour": {"$in": ["rare", "blue"]}},
        {"colour": {"$ne": "red"}},
        {"sizes": "m"},
        {"colour": "none has it"},
        {"$and": [{"colour": "red"}, {"sizes": {"$in": ["s"]}}]},
    ],
)
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages_come_in_order_and_leave_nothing_out(
    namespace: Namespace, spec: dict[str, object], limit: int
) -> None:
    """Whether few vectors match or many."""
    wanted, found, after = Filter(spec), list[str](), ""
    while page := namespace.page(wanted, after, limit):
        found += page
        after = page[-1]
    expected = [
        id_
        for id_ in namespace.ids()
        if (record := namespace.get(id_)) and wanted.matches(namespace.metadata(record))
    ]
    assert found == expected == sorted(namespace.matching(wanted))
