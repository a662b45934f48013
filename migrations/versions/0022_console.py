"""Tables of the console: staff and what they did, comments, breaks, runs of verify; indexes of its lists."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_callback_exception_open": ("callback_exception", ["id"], "resolved_at IS NULL"),
    "ix_delivery_refused": ("delivery", ["status", "id"], "status <> 200"),
    "ix_wager_refused": ("wager", ["customer_id", "placed_at"], "refusal IS NOT NULL"),
    "ix_ledger_entry_house": ("ledger_entry", ["account_id", "transaction_id"], "version IS NULL"),
}


def upgrade() -> None:
    _create_staff()
    op.create_table(
        "resettle_request",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("game", Key(), nullable=False),
        sa.Column("client", Key(), nullable=False),
        sa.Column("uid", Key(), nullable=False),
        sa.Column("settlement", sa.BigInteger(), nullable=False),
        sa.Column("payout_before", sa.String(40), nullable=False),
        sa.Column("payout", sa.String(40), nullable=False),
        sa.Column("result", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", Key(), nullable=False),
        sa.Column("requested_at", UTCDateTime(), nullable=False),
        sa.Column("decision", sa.String(10)),
        sa.Column("decided_by", Key()),
        sa.Column("decided_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resettle_request")),
    )
    op.create_index(op.f("ix_resettle_request_game_client_uid"), "resettle_request", ["game", "client", "uid"])
    is_open = sa.text("decision IS NULL")
    op.create_index(
        "uq_resettle_request_open",
        "resettle_request",
        ["game", "client", "uid"],
        unique=True,
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    op.add_column("callback_exception", sa.Column("resolved_by", Key()))
    op.create_table(
        "exception_comment",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("exception_id", sa.BigInteger(), nullable=False),
        sa.Column("written_at", UTCDateTime(), nullable=False),
        sa.Column("written_by", Key(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exception_comment")),
        sa.ForeignKeyConstraint(
            ["exception_id"], ["callback_exception.id"], name=op.f("fk_exception_comment_exception_id")
        ),
    )
    op.create_index(op.f("ix_exception_comment_exception_id_id"), "exception_comment", ["exception_id", "id"])
    op.create_table(
        "reconciliation_break",
        sa.Column("reconciliation_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("bet", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger()),
        sa.Column("theirs", sa.Text(), nullable=False),
        sa.Column("ours", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("reconciliation_id", "number", name=op.f("pk_reconciliation_break")),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliation.id"], name=op.f("fk_reconciliation_break_reconciliation_id")
        ),
    )
    op.create_table(
        "verification",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("run_at", UTCDateTime(), nullable=False),
        sa.Column("since", sa.Date()),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("last_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification")),
    )
    for name, (table, columns, condition) in _INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, table, columns, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for name, (table, *_) in _INDEXES.items():
        op.drop_index(name, table)
    for table in ("verification", "reconciliation_break", "exception_comment", "resettle_request"):
        op.drop_table(table)
    op.drop_column("callback_exception", "resolved_by")
    if not _is_sqlite():
        op.execute("DROP TRIGGER staff_action_is_kept ON staff_action")
    for table in ("staff_action", "staff_session", "staff"):
        op.drop_table(table)


def _create_staff() -> None:
    op.create_table(
        "staff",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("username", Key(), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("totp_secret", sa.String(64)),
        sa.Column("totp_step", sa.BigInteger()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("login_locks", sa.Integer(), nullable=False),
        sa.Column("login_locked_until", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff")),
        sa.UniqueConstraint("username", name=op.f("uq_staff_username")),
    )
    op.create_table(
        "staff_session",
        sa.Column("token_hash", Key(), nullable=False),
        sa.Column("staff_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("used_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_staff_session")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_session_staff_id")),
    )
    op.create_index(op.f("ix_staff_session_staff_id"), "staff_session", ["staff_id"])
    op.create_table(
        "staff_action",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("username", Key(), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(45), nullable=False),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_action")),
    )
    for statement in _SQLITE_RULES if _is_sqlite() else _POSTGRESQL_RULES:
        op.execute(statement)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


# The audit trail only grows.
_POSTGRESQL_RULES = (
    """
    CREATE TRIGGER staff_action_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON staff_action
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()
    """,
)
_SQLITE_RULES = tuple(
    f"CREATE TRIGGER staff_action_is_kept_from_{event.lower()} BEFORE {event} ON staff_action"
    f" BEGIN SELECT RAISE(ABORT, 'ledger: {event} of staff_action is refused'); END"
    for event in ("UPDATE", "DELETE")
)
