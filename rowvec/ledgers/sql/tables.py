"""The tables of a SQL ledger."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from rowvec.model import (
    Counts,
)

metadata = MetaData()

COUNTS = tuple(field.name for field in fields(Counts))

_BIG = BigInteger().with_variant(Integer, "sqlite")
"""Bytes and tokens outgrow 32 bits; SQLite has one kind of integer, and numbers rows only by that name."""


def _number(name: str) -> Column[int]:
    return Column(name, _BIG, nullable=False, default=0)


def _time(name: str, nullable: bool = True) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _held_index(name: str) -> Index:
    """Only of what a worker holds, so that nothing searches for what nobody holds through it."""
    held = text("worker IS NOT NULL")
    return Index(name, "worker", sqlite_where=held, postgresql_where=held)


tasks = Table(
    "tasks",
    metadata,
    Column("position", _BIG, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("idempotency_key", Text, unique=True),
    Column("fingerprint", String(64), nullable=False),
    Column("spec", Text, nullable=False),
    Column("parent_id", String(36)),
    Column("tenant", String(64), nullable=False, default="", server_default=""),
    Column("state", String(16), nullable=False),
    Column("hold", String(16), nullable=False),
    Column("seen", String(16), nullable=False),
    Column("reason", Text),
    Column("error", Text),
    *(_number(name) for name in COUNTS),
    Column("planned", Boolean, nullable=False),
    *(_number(name) for name in ("rows_planned", "blank_lines")),
    *(_number(name) for name in ("chunks_total", "chunks_done", "chunks_failed", "rows_failed")),
    _time("created_at", nullable=False),
    *(_time(name) for name in ("started_at", "planned_at", "completed_at", "progressed_at")),
    *(_number(name) for name in ("attempts", "crashes", "fence")),
    Column("worker", Text),
    _time("not_before", nullable=False),
    _number("version"),
    Index("tasks_by_seen", "seen", "position"),
    Index("tasks_by_fingerprint", "fingerprint"),
    Index("tasks_by_parent", "parent_id"),
    Index("tasks_by_tenant", "tenant", "position"),
    _held_index("tasks_by_worker"),
    sqlite_autoincrement=True,
)

chunks = Table(
    "chunks",
    metadata,
    Column("task_id", String(36), ForeignKey("tasks.id"), primary_key=True),
    Column("number", _BIG, primary_key=True, autoincrement=False),
    *(_number(name) for name in ("start", "end", "first_row", "first_line", "rows")),
    Column("state", String(16), nullable=False),
    *(_number(name) for name in ("attempts", "crashes", "fence")),
    Column("worker", Text),
    _time("not_before", nullable=False),
    Column("error", Text),
    *(_number(name) for name in COUNTS),
    Column("manifest", Text),
    Column("rejected_file", Text),
    Column("last_worker", Text),
    *(_time(name) for name in ("started_at", "ended_at")),
    Index("chunks_by_state", "task_id", "state", "number"),
    _held_index("chunks_by_worker"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    _time("pid_started", nullable=False),
    _number("slots"),
    _number("holding"),
    _time("beat_at", nullable=False),
    Column("waits", JSON, nullable=False, server_default="{}"),
    Column("usage", JSON, nullable=False, server_default="{}"),
)

namespaces = Table(
    "namespaces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("name", Text, nullable=False),
    _time("created_at", nullable=False),
    _time("revoked_at"),
    _time("expires_at"),
    Column("grants", Text, nullable=False, server_default="{}"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("period", _BIG, nullable=False),
    Column("used", _BIG, nullable=False),
)

tallies = Table(
    "tallies",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tally", JSON, nullable=False),
)

provider_pauses = Table(
    "provider_pauses",
    metadata,
    Column("provider", String(64), primary_key=True),
    _time("since", nullable=False),
    Column("reason", Text, nullable=False),
)

shape = Table("ledger_shape", metadata, Column("version_num", String(32), primary_key=True))
"""Which of `migrations/versions` the tables have; alembic's own table, under a name of ours."""
