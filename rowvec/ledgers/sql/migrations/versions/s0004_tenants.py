"""What API keys allow and until when, whose tasks are, and what accounts have used."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("tasks", sa.Column("tenant", sa.String(64), nullable=False, server_default=""))
    op.create_index("tasks_by_tenant", "tasks", ["tenant", "position"])
    op.add_column("api_keys", sa.Column("expires_at", sa.Double))
    op.add_column("api_keys", sa.Column("grants", sa.Text, nullable=False, server_default="{}"))
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("period", BIG, nullable=False),
        sa.Column("used", BIG, nullable=False),
    )
