"""Create early cancels, stored per user; index stakes on events, those of settled bets included."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Key, UTCDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ON_EVENT = ["customer_id", "pool_uid", "game"]


def upgrade() -> None:
    op.create_table(
        "early_cancel",
        sa.Column("game", Key(), primary_key=True),
        sa.Column("client", Key(), primary_key=True),
        sa.Column("uid", Key(), primary_key=True),
        sa.Column("user_uid", Key(), primary_key=True),
        sa.Column("cancelled_at", UTCDateTime, nullable=False),
    )
    # Until now early cancels were wagers without a fingerprint, one per bet.
    op.execute(
        "INSERT INTO early_cancel (game, client, uid, user_uid, cancelled_at)"
        " SELECT game, client, uid, user_uid, placed_at FROM wager WHERE fingerprint IS NULL"
    )
    op.execute("DELETE FROM wager WHERE fingerprint IS NULL")
    op.drop_index("ix_wager_open_on_event", "wager")
    _create_index("ix_wager_taken_on_event", "cost IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_wager_taken_on_event", "wager")
    _create_index("ix_wager_open_on_event", "status = 'open'")
    op.execute(
        "INSERT INTO wager (game, client, uid, user_uid, status, placed_at, settlements)"
        " SELECT game, client, uid, min(user_uid), 'cancelled', min(cancelled_at), 0 FROM early_cancel"
        " WHERE true GROUP BY game, client, uid ON CONFLICT (game, client, uid) DO NOTHING"
    )
    op.drop_table("early_cancel")


def _create_index(name: str, where: str) -> None:
    op.create_index(name, "wager", _ON_EVENT, postgresql_where=sa.text(where), sqlite_where=sa.text(where))
