"""Errors of one cause have one fingerprint, whatever row, id or value they name."""

from __future__ import annotations

import pytest

from rowvec.fingerprint import LONGEST, fingerprint, pattern

SAME = [
    ("expected 3 fields, found 5", "expected 12 fields, found 1,024"),
    ('"12/13/2024" is no date', '"n/a" is no date'),
    ("the value 'a b' is too long", "the value '' is too long"),
    ("request 7f3c9a2e41 failed", "request 00aa11bb22cc failed"),
    (
        "task 6f1e2c1a-58c5-4b0e-9a0e-2f6f0c8f9d11 is gone",
        "task 00000000-1111-4000-8000-00000000 is gone",
    ),
    ("row p-17-b is longer than 8.5 KB", "row q_3-z is longer than 10 KB"),
    ("at 12:30:01 it took -3 s", "at 01:02:03 it took +40.5 s"),
]
OTHER = [
    ("too many fields", "too few fields"),
    ("can't read the row", "can't read the file"),
    ("the model gpt4 is gone", "the model ada is gone"),
]


@pytest.mark.parametrize(("one", "another"), SAME)
def test_what_varies_is_taken_out(one: str, another: str) -> None:
    """Numbers, ids, times and quoted values make no other cause."""
    assert pattern(one) == pattern(another)
    assert fingerprint("code", one) == fingerprint("code", another)


@pytest.mark.parametrize(("one", "another"), OTHER)
def test_words_tell_causes_apart(one: str, another: str) -> None:
    """Nor is an apostrophe a quotation mark."""
    assert fingerprint("code", one) != fingerprint("code", another)


def test_the_code_tells_causes_apart() -> None:
    """The same words under two codes are two causes."""
    assert fingerprint("one", "no text") != fingerprint("other", "no text")


@pytest.mark.parametrize("unit", ['"', "'", "a-", "1-", "0f", "`x", "9.", "“", "\ud800", "-_1a"])
def test_whatever_stands_in_it(unit: str) -> None:
    """Any text has a fingerprint of twelve digits, and only its beginning counts."""
    text = unit * 5_000
    found = fingerprint("code", text)
    assert len(found) == 12
    assert fingerprint("code", text[:LONGEST] + "something else") == found
