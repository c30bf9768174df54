"""Tasks that repair the rows of another task."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("parent_id", sa.String(36)))
    op.create_index("tasks_by_parent", "tasks", ["parent_id"])
