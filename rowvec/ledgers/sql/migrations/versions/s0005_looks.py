"""What is looked at: when chunks were worked on and by whom, what workers use, which providers are paused.

All of it may be left out by a process of the version before, which goes on writing until it is replaced.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("chunks", sa.Column("last_worker", sa.Text))
    op.add_column("chunks", sa.Column("started_at", sa.Double))
    op.add_column("chunks", sa.Column("ended_at", sa.Double))
    op.add_column("workers", sa.Column("usage", sa.JSON, nullable=False, server_default="{}"))
    op.create_table(
        "provider_pauses",
        sa.Column("provider", sa.String(64), primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
