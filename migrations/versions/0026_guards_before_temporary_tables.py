"""Have the functions that guard the ledger look at its own tables, whatever temporary tables a session has.

PostgreSQL searches temporary tables first, unless the search path names their schema: a session with a temporary table
`ledger_transaction` could add entries to an old transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_FUNCTIONS = ("ledger_check_entries", "ledger_check_period", "ledger_keep")


def upgrade() -> None:
    # In `public` too, where each brand has a schema: there they guard the shared tables.
    if op.get_bind().dialect.name == "postgresql":
        # By name: Citus does not take FROM CURRENT.
        schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
        for function in _FUNCTIONS:
            op.execute(f"ALTER FUNCTION {function}() SET search_path TO {schema}, pg_temp")


def downgrade() -> None:
    """Leave the functions as they are: the earlier code needs no temporary tables."""
