"""All that a task depends on: one version of a source, how its bytes spell a table, and what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class SourcePin:
    """One version of one source. `version` changes whenever the bytes may have changed."""

    kind: str
    ref: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the bytes spell a table. The quote is always `"`, doubled inside quotes.

    `encoding` is the name of a Python codec, `compression` is `gzip`, `zstd` or empty.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    compression: str = ""

    @property
    def copied(self) -> bool:
        """Is the table read from a copy in plain UTF-8? Then all offsets are those of the copy."""
        return bool(self.compression) or self.encoding != "utf-8"


class Verify(StrEnum):
    """How much of what a task has written is looked for in the store before it is called completed."""

    NONE = "none"
    SAMPLE = "sample"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """All that a task depends on, pinned when it is submitted and never changed after.

    Only where the table must be exported first is the spec open: `wish` is the request, in JSON, and what
    only the table can tell is empty. Whoever plans closes it, once; then `wish` is None.
    `data_start` is the byte offset of the first record after the header, `data_line` its 1-based
    physical line. `types` maps each metadata column to `string`, `number` or `bool`.
    `embedder` names the backend; `model` and `dimension` what it must still be when work is done.
    `tenant` owns the task, empty: the operator. On `account` is counted what the task uses, empty: on none.
    `max_tokens` is what it may spend at most. `verify` says what is looked for before it is completed.
    `title` is what people call it; empty: as its source does.
    """

    source: SourcePin
    header: tuple[str, ...]
    data_start: int
    data_line: int
    dialect: Dialect
    chunk_size: int
    max_record_bytes: int
    namespace: str
    embedder: str
    model: str
    dimension: int
    id_column: str | None = None
    id_prefix: str = ""
    text_columns: tuple[str, ...] = ()
    text_template: str | None = None
    metadata_columns: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    date_column: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    date_format: str | None = None
    parent_id: str | None = None
    wish: str | None = None
    tenant: str = ""
    account: str = ""
    max_tokens: int | None = None
    verify: Verify = Verify.NONE
    title: str = ""

    @property
    def name(self) -> str:
        """What people see the task called."""
        return self.title or self.source.ref

    def to_json(self) -> str:
        return _SPEC.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> TaskSpec:
        return _SPEC.validate_json(text)


_SPEC: TypeAdapter[TaskSpec] = TypeAdapter(TaskSpec)
