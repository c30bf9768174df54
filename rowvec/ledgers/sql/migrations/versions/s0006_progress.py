"""When a task last came on, and what workers did that have left.

A process of the version before goes on writing until it is replaced, and leaves both out.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("progressed_at", sa.Double))
    op.create_table(
        "tallies",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tally", sa.JSON, nullable=False),
    )
