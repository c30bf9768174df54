"""Metadata is typed once, never mixes types, and always fits."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.metadata import Fitter, infer_types
from rowvec.spec import Dialect, SourcePin, TaskSpec


def _spec(columns: tuple[str, ...], types: dict[str, str]) -> TaskSpec:
    return TaskSpec(
        SourcePin("local", "x.csv", "1", 1), columns, 0, 1, Dialect(), 10, 1024, "n", "memory", "m", 4,
        metadata_columns=columns, types=types,
    )  # fmt: skip


def test_only_plain_numbers_become_numbers() -> None:
    """A postcode, an exponent or a long account number keeps its spelling."""
    rows = [["1", "01234", "1e5", "12345678901234567", "true", "1"], ["2.5", "1", "2", "1", "False", ""]]
    assert infer_types(["a", "zip", "exp", "long", "flag", "gap"], rows) == {
        "a": "number", "zip": "string", "exp": "string", "long": "string", "flag": "bool", "gap": "number",
    }  # fmt: skip


def test_a_value_of_another_type_is_left_out_with_a_warning() -> None:
    """A column never mixes types: what does not fit is named and counted."""
    fitted = Fitter(_spec(("price",), {"price": "number"}), 1000).fit(["n/a"])
    assert fitted.values == {}
    assert len(fitted.warnings) == 1
    assert "price" in fitted.warnings[0]


def test_infinities_are_no_numbers() -> None:
    """`nan` and `inf` would break filters and JSON."""
    fitter = Fitter(_spec(("x",), {"x": "number"}), 1000)
    assert [fitter.fit([text]).values for text in ("nan", "inf", "1e999")] == [{}, {}, {}]


def test_whole_numbers_stay_whole() -> None:
    """3 comes back as 3, 3.5 as 3.5, an empty value is left out."""
    fitter = Fitter(_spec(("x",), {"x": "number"}), 1000)
    assert [fitter.fit([text]).values for text in ("3", "3.5", "")] == [{"x": 3}, {"x": 3.5}, {}]


@pytest.mark.parametrize(("letter", "kept"), [("n", 92), ("ü", 46), ("語", 30), ("\n", 46)])
def test_of_a_text_that_is_too_long_as_much_is_kept_as_fits(letter: str, kept: int) -> None:
    """The limit is one of bytes of JSON: a letter of several bytes takes its share, and no value is lost."""
    fitted = Fitter(_spec(("a",), {}), 101).fit([letter * 300])
    assert fitted.values == {"a": letter * kept}
    assert fitted.warnings == [f"column 'a' was cut to {kept} of 300 characters to fit the store"]


@given(st.lists(st.text(max_size=300), min_size=3, max_size=3), st.integers(20, 400))
def test_metadata_always_fits(row: list[str], limit: int) -> None:
    """Whatever a row holds, its metadata fits the store, and each cut is told."""
    fitted = Fitter(_spec(("a", "b", "c"), {}), limit).fit(row)
    size = len(json.dumps(fitted.values, ensure_ascii=False).encode("utf-8", "replace"))
    assert size <= limit
    whole = {name: value for name, value in zip("abc", row, strict=True) if value}
    assert bool(fitted.warnings) == (fitted.values != whole)
