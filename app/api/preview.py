"""What callers get to see of a table before they start: its columns, and its first rows as embedded."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rowvec.preview import Preview, PreviewedRow

MOST_PASSAGES = 20
CONTENT_LENGTH = 2_000


class PreviewedRowView(BaseModel):
    """`outcome` says what would become of the row; `code` and `reason` why, unless it is embedded.

    `passages` are the texts that go to the embedder, the first 20 of `passage_count`; `tokens` are what all
    of them are billed as at most. `content` is the row as it stands in the file, its first 2,000 characters.
    """

    number: int
    line: int | None
    outcome: Literal["embedded", "filtered", "duplicate", "rejected"]
    id: str | None
    passages: list[str]
    passage_count: int
    tokens: int
    metadata: dict[str, str | float | int | bool] | None
    warnings: list[str]
    code: str | None
    reason: str | None
    content: str

    @staticmethod
    def of(row: PreviewedRow) -> PreviewedRowView:
        return PreviewedRowView(
            **asdict(row)
            | {
                "passages": list(row.passages[:MOST_PASSAGES]),
                "passage_count": len(row.passages),
                "tokens": sum(row.tokens),
                "content": row.content[:CONTENT_LENGTH],
            }
        )


class PreviewView(BaseModel):
    """`types` are those of the metadata columns, inferred from the first rows where the body names none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": ["id", "title", "body"],
                    "delimiter": ",",
                    "encoding": "utf-8",
                    "compression": None,
                    "types": {"id": "number", "title": "string", "body": "string"},
                    "namespace": "default",
                    "model": "wordllama-l2-supercat-256",
                    "rows": [
                        {
                            "number": 1,
                            "line": 2,
                            "outcome": "embedded",
                            "id": "1",
                            "passages": ["Desk lamp: a warm light"],
                            "passage_count": 1,
                            "tokens": 6,
                            "metadata": {"id": 1, "title": "Desk lamp"},
                            "warnings": [],
                            "code": None,
                            "reason": None,
                            "content": "1,Desk lamp,a warm light",
                        }
                    ],
                }
            ]
        }
    )

    columns: list[str]
    delimiter: str
    encoding: str
    compression: str | None
    types: dict[str, str]
    namespace: str
    model: str
    rows: list[PreviewedRowView]

    @staticmethod
    def of(found: Preview) -> PreviewView:
        spec = found.spec
        return PreviewView(
            columns=list(spec.header),
            delimiter=spec.dialect.delimiter,
            encoding=spec.dialect.encoding,
            compression=spec.dialect.compression or None,
            types=dict(spec.types),
            namespace=spec.namespace,
            model=spec.model,
            rows=[PreviewedRowView.of(row) for row in found.rows],
        )
