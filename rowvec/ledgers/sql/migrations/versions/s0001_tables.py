"""Tasks, chunks, workers, namespaces and keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
COUNTS = (
    *("read", "upserted", "unchanged", "filtered", "duplicate"),
    *("rejected", "warnings", "passages", "tokens", "embedded"),
)


def upgrade() -> None:
    _tasks()
    _chunks()
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.Double, nullable=False),
        *_numbers("slots", "holding"),
        sa.Column("beat_at", sa.Double, nullable=False),
    )
    op.create_table(
        "namespaces",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
    )


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("position", BIG, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("idempotency_key", sa.Text, unique=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("hold", sa.String(16), nullable=False),
        sa.Column("seen", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("error", sa.Text),
        *_numbers(*COUNTS),
        sa.Column("planned", sa.Boolean, nullable=False),
        *_numbers(
            "rows_planned", "blank_lines", "chunks_total", "chunks_done", "chunks_failed", "rows_failed"
        ),
        sa.Column("created_at", sa.Double, nullable=False),
        *(sa.Column(name, sa.Double) for name in ("started_at", "planned_at", "completed_at")),
        *_numbers("attempts", "crashes", "fence"),
        sa.Column("worker", sa.Text),
        sa.Column("not_before", sa.Double, nullable=False),
        *_numbers("version"),
        sqlite_autoincrement=True,
    )
    op.create_index("tasks_by_seen", "tasks", ["seen", "position"])
    op.create_index("tasks_by_fingerprint", "tasks", ["fingerprint"])
    _index_of_held("tasks")


def _chunks() -> None:
    op.create_table(
        "chunks",
        sa.Column("task_id", sa.String(36), sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("number", BIG, primary_key=True, autoincrement=False),
        *_numbers("start", "end", "first_row", "first_line", "rows"),
        sa.Column("state", sa.String(16), nullable=False),
        *_numbers("attempts", "crashes", "fence"),
        sa.Column("worker", sa.Text),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("error", sa.Text),
        *_numbers(*COUNTS),
        sa.Column("manifest", sa.Text),
        sa.Column("rejected_file", sa.Text),
    )
    op.create_index("chunks_by_state", "chunks", ["task_id", "state", "number"])
    _index_of_held("chunks")


def _numbers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, BIG, nullable=False) for name in names]


def _index_of_held(table: str) -> None:
    held = sa.text("worker IS NOT NULL")
    op.create_index(f"{table}_by_worker", table, ["worker"], sqlite_where=held, postgresql_where=held)
