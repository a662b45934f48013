"""Drop `player_limit.moves`, which is not read any more. A downgrade restores the column as false."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("player_limit", "moves")


def downgrade() -> None:
    op.add_column("player_limit", sa.Column("moves", sa.Boolean, nullable=False, server_default=sa.false()))
