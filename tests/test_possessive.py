"""Possessive groups: both ways of writing them match the same, and no pattern writes one by itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.exact import ExactScan
from rowvec.possessive import IS_RIGHT, possessive

ROOT = Path(__file__).resolve().parents[1]
SHORT = re.compile(r"\)[*+?]\+")
CSV = st.lists(st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"a", b" "])).map(b"".join)


@pytest.mark.parametrize("is_right", [False, *([True] if IS_RIGHT else [])])
@pytest.mark.parametrize(
    ("quantifier", "text", "end"),
    [(b"*", b"aca", 2), (b"+", b"acaba", 2), (b"?", b"ac", 2), (b"*", b"abacab", 0), (b"?", b"a", 0)],
)
def test_what_is_matched_half_is_not_taken(is_right: bool, quantifier: bytes, text: bytes, end: int) -> None:
    """`a`, perhaps `b`, and `c`, again and again."""
    found = re.match(possessive(b"ab?c", quantifier, is_right), text)
    assert found is not None and found.end() == end


def test_nothing_is_looked_back_into() -> None:
    assert re.fullmatch(possessive(b"a", b"*") + b"a", b"aaa") is None


@given(CSV, st.booleans())
def test_records_are_judged_the_same_in_either_way(data: bytes, final: bool) -> None:
    """The scan with the patterns of this Python, and with those that are right in each."""
    ours, safe = ExactScan(b",", 1000), ExactScan(b",", 1000, is_right=False)
    assert ours.judge(data, 0, final) == safe.judge(data, 0, final)
    assert ours.plain_line(data, 0) == safe.plain_line(data, 0)


def test_no_pattern_writes_one_by_itself() -> None:
    wrote = {
        str(path.relative_to(ROOT)): found
        for folder in ("rowvec", "app", "standins")
        for path in (ROOT / folder).rglob("*.py")
        if (found := SHORT.findall(path.read_text()))
    }
    assert wrote == {}
