"""Vectors as rows of a Lance table, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from rowvec.errors import InputRefused
from rowvec.vectors import Match, Stamp, VectorBatch

STAMP_COLUMNS = ["id", "row_id", "task_id", "row_number"]
MATCH_COLUMNS = ["id", "text", "metadata", "_distance"]
# Without this mark two writers of the same ids leave them twice (measured).
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}


def schema(dimension: int) -> pa.Schema:
    """The columns of a namespace; `metadata` is JSON."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
            pa.field("row_id", pa.string()),
            pa.field("task_id", pa.string()),
            pa.field("row_number", pa.int64()),
            pa.field("text", pa.string()),
            pa.field("metadata", pa.string()),
            pa.field("vector", pa.list_(pa.field("item", pa.float32()), dimension)),
        ]
    )


def dimension_of(found: pa.Schema) -> int | None:
    """The dimension of a table's vectors, None when the table is not one of ours."""
    ours = found.names == schema(1).names and pa.types.is_fixed_size_list(found.field("vector").type)
    return int(found.field("vector").type.list_size) if ours else None


def from_batch(batch: VectorBatch, metadata: Sequence[str]) -> pa.Table:
    """The rows of a batch; of an id that is there twice the last. Raises InputRefused."""
    n, dimension = batch.vectors.shape
    values = np.ascontiguousarray(batch.vectors, np.float32).reshape(-1)
    try:
        columns = [
            pa.array(batch.ids, pa.string()),
            pa.array(batch.row_ids, pa.string()),
            pa.array([batch.task_id] * n, pa.string()),
            pa.array(batch.row_numbers, pa.int64()),
            pa.array(batch.texts, pa.string()),
            pa.array(metadata, pa.string()),
            pa.FixedSizeListArray.from_arrays(pa.array(values), type=schema(dimension).field("vector").type),
        ]
    except (UnicodeEncodeError, pa.ArrowException) as error:
        raise InputRefused(f"These vectors cannot be stored: {error}.") from error
    return pa.Table.from_arrays(columns, schema=schema(dimension))


def merged(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows of the tables; of an id that is there twice the last, for one write may name it once."""
    rows = pa.concat_tables(tables)
    last = {id_: index for index, id_ in enumerate(rows.column("id").to_pylist())}
    return rows if len(last) == rows.num_rows else rows.take(pa.array(last.values(), pa.int64()))


def among(column: str, values: Sequence[str]) -> str:
    """The filter for rows whose column is one of the values, whatever characters those hold.

    In Lance's SQL a quote is the only character of a string that means something.
    """
    quoted = ",".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({quoted})"


def to_stamps(rows: pa.RecordBatch) -> list[Stamp]:
    columns = (rows.column(name).to_pylist() for name in STAMP_COLUMNS)
    return [Stamp(*values) for values in zip(*columns, strict=True)]


def to_matches(rows: pa.Table) -> list[Match]:
    """Matches in the order of the rows. Lance's cosine distance is one less the similarity."""
    return [
        Match(
            row["id"], min(1.0, max(-1.0, 1.0 - row["_distance"])), row["text"], json.loads(row["metadata"])
        )
        for row in rows.to_pylist()
    ]
