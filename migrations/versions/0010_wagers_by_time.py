"""Index wagers by the time at which they were placed, for queries by period."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_wager_placed_at"), "wager", ["placed_at"], postgresql_using="brin")


def downgrade() -> None:
    op.drop_index(op.f("ix_wager_placed_at"), "wager")
