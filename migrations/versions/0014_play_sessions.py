"""Store play sessions across logins; split a pending removal of all limits of a type into one per frame."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import UTCDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_COLUMNS = (
    "type, set_by, moves, changed_by, reason, created_at, anchored_at, effective_at, needs_confirmation, expires_at"
)


def upgrade() -> None:
    op.add_column("customer", sa.Column("session_began_at", UTCDateTime))
    op.add_column("customer", sa.Column("session_bet_at", UTCDateTime))
    op.add_column("login_session", sa.Column("ended", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.execute(
        f"INSERT INTO player_limit (customer_id, frame, status, {_COLUMNS})"
        " SELECT p.customer_id, a.frame, 'PENDING', "
        + ", ".join(f"p.{name}" for name in _COLUMNS.split(", "))
        + " FROM player_limit p JOIN player_limit a ON a.customer_id = p.customer_id AND a.type = p.type"
        " AND a.set_by = p.set_by AND a.status = 'ACTIVE'"
        " WHERE p.status = 'PENDING' AND p.frame = 'no_limit' AND NOT EXISTS"
        " (SELECT 1 FROM player_limit other WHERE other.customer_id = p.customer_id AND other.type = p.type"
        " AND other.set_by = p.set_by AND other.frame = a.frame AND other.status = 'PENDING')"
    )
    op.execute(
        "UPDATE player_limit SET status = 'SUPERSEDED', ended_at = CURRENT_TIMESTAMP"
        " WHERE status = 'PENDING' AND frame = 'no_limit'"
    )


def downgrade() -> None:
    op.drop_column("login_session", "ended")
    op.drop_column("customer", "session_bet_at")
    op.drop_column("customer", "session_began_at")
