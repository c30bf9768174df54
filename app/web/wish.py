"""What a form about a table asks for: the body of `POST /api/v1/process`, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import ImmutableMultiDict

from app.api.models import ProcessRequest

ORIGIN = ("data_source", "file_id", "s3_key", "question_id", "parent_id")
SPELLING = ("delimiter", "encoding", "allow_row_cap")
TEXTS = (
    *("data_source", "file_id", "s3_key", "parent_id", "encoding", "namespace", "id_column", "id_prefix"),
    *("date_column", "start_date", "end_date", "date_format", "verify"),
)
NUMBERS: Mapping[str, Callable[[str], float]] = {
    "question_id": int, "batch_size": int, "max_tokens": int, "max_dollars": float
}  # fmt: skip
TAB = "tab"

Given = ImmutableMultiDict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """A form as it was sent. `errors` are by the name of their field, those of no field by ''."""

    form: Given
    errors: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> ProcessRequest:
        """Raises ValidationError."""
        return ProcessRequest.model_validate({"title": self.name, **dict(_fields(self.form))})

    def bare(self) -> Wish:
        """The same table without a wish about what becomes of it."""
        return Wish(ImmutableMultiDict(_kept(self.form, (*ORIGIN, *SPELLING))))

    def value(self, name: str, default: str = "") -> str:
        """What a field shows."""
        return str(self.form.get(name, default))

    @property
    def name(self) -> str:
        """What the table is called: by whoever sent it in, else by where it comes from."""
        question = self.value("question_id")
        return self.value("name") or self.value("s3_key") or (f"Question {question}" if question else "")

    def values(self, name: str) -> list[str]:
        return [str(value) for value in self.form.getlist(name)]


def _kept(form: Given, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in form.multi_items() if name in names]


def _fields(form: Given) -> Iterator[tuple[str, Any]]:
    """What is left empty is not asked for."""
    for name in TEXTS:
        if text := str(form.get(name, "")).strip():
            yield name, text
    for name, kind in NUMBERS.items():
        if text := str(form.get(name, "")).strip():
            yield name, _number(text, kind)
    if delimiter := str(form.get("delimiter", "")):
        yield "delimiter", "\t" if delimiter == TAB else delimiter
    if form.get("allow_row_cap"):
        yield "allow_row_cap", True
    yield from _columns(form)


def _columns(form: Given) -> Iterator[tuple[str, Any]]:
    """What is embedded, and what is kept beside it: each is all columns unless some are chosen."""
    text = form.get("text", "columns" if "text_columns" in form else "template")
    if text == "columns":
        yield "text_columns", [str(name) for name in form.getlist("text_columns")]
    elif text == "template" and str(form.get("text_template", "")).strip():
        yield "text_template", str(form["text_template"])
    if form.get("metadata", "all") == "columns":
        yield "metadata_columns", [str(name) for name in form.getlist("metadata_columns")]


def _number(text: str, kind: Callable[[str], float]) -> float | str:
    """What is no number is left for the door to refuse."""
    try:
        return kind(text)
    except ValueError:
        return text


def in_fields(error: ValidationError) -> dict[str, str]:
    """The messages by field, without the input they are about."""
    return {str(one["loc"][0]) if one["loc"] else "": f"{one['msg']}." for one in error.errors()}
