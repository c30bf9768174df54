"""What workers wait for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("workers", sa.Column("waits", sa.JSON, nullable=False, server_default="{}"))
