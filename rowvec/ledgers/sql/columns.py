"""Whole columns in one row.

Drivers hand over row after row, and SQLite's lets go of the interpreter's lock at each of them. Beside a
thread that computes, ten thousand rows took seconds; one row that holds them all takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Connection, Double, Select, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


def in_columns(connection: Connection, query: Select[Any]) -> list[Sequence[Any]]:
    """What a query of texts, numbers and times finds: its columns, each in the order of the rows."""
    rows = query.subquery()
    found = connection.execute(select(*map(_Column, rows.c))).one()
    return [column or () for column in found]


class _Column(FunctionElement[Any]):
    """A column as a JSON array."""

    inherit_cache = True
    type = JSON()


@compiles(_Column, "postgresql")
def _of_postgresql(element: _Column, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_agg({compiler.process(element.clauses, **options)})"


@compiles(_Column, "sqlite")
def _of_sqlite(element: _Column, compiler: SQLCompiler, **options: Any) -> str:
    """Its own JSON keeps fifteen digits of a number, and times have more."""
    (column,) = element.clauses
    told = compiler.process(column, **options)
    if not isinstance(column.type, Double):
        return f"json_group_array({told})"
    return f"'[' || group_concat(iif({told} IS NULL, 'null', printf('%!.17g', {told}))) || ']'"
