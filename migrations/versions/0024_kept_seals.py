"""Keep the seals of closed days: only that a day was opened again can be added to one."""

from alembic import op

from wallet_hooks.database.schema_contents import changes_own_tables

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_KEPT = "id, day, previous, hash, transactions, entries, last_id, totals, balances, sealed_at"


def upgrade() -> None:
    if changes_own_tables():
        for name, event in _triggers().items():
            op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON ledger_seal {_action(event)}")


def downgrade() -> None:
    if changes_own_tables():
        for name in _triggers():
            op.execute(f"DROP TRIGGER {name}" + ("" if _is_sqlite() else " ON ledger_seal"))


def _triggers() -> dict[str, str]:
    """Return the events by trigger. On Citus, one that is also for TRUNCATE would be missing on its nodes."""
    if _is_sqlite():
        return {"ledger_seal_is_kept_from_delete": "DELETE", "ledger_seal_is_kept_from_update": f"UPDATE OF {_KEPT}"}
    return {"ledger_seal_is_kept": f"DELETE OR UPDATE OF {_KEPT}", "ledger_seal_is_not_truncated": "TRUNCATE"}


def _action(event: str) -> str:
    if _is_sqlite():
        return f"BEGIN SELECT RAISE(ABORT, 'ledger: {event.split(maxsplit=1)[0]} of ledger_seal is refused'); END"
    return "FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()"


def _is_sqlite() -> bool:
    return bool(op.get_bind().dialect.name == "sqlite")
