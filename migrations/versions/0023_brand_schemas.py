"""Store where the brands' tables are, and make the ledger's triggers fit for a schema of its own on any node.

The choice is made here, once: WALLET_HOOKS_BRAND_SCHEMAS gives each brand a schema, unless there are brands already.

Citus makes no trigger on its nodes that is also for TRUNCATE, so TRUNCATE gets its own. The functions find their tables
whatever the search path of the session is, and read the new rows into variables: on Citus, a query may not combine them
with a table.
"""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Key
from wallet_hooks.database.schema_contents import changes_own_tables, changes_shared_tables
from wallet_hooks.settings import ConfigurationError

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_KEPT = ("ledger_transaction", "ledger_entry", "ledger_currency", "staff_action")


def upgrade() -> None:
    layout = op.create_table(
        "database_layout",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("brand_schemas", sa.Boolean, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_database_layout_one_row")),
    )
    op.bulk_insert(layout, [{"id": 1, "brand_schemas": _has_brand_schemas()}])
    op.create_table(
        "username",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("brand_id", sa.BigInteger, nullable=False),
        sa.Column("folded", Key(), nullable=False),
        sa.UniqueConstraint("folded", name=op.f("uq_username_folded")),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_username_brand_id")),
    )
    if not _is_sqlite():
        for table in _KEPT:
            _keep(table, "UPDATE OR DELETE")
        _keep("ledger_account", "DELETE OR UPDATE OF id, name, currency, kind, holder_id")
        # By name: Citus does not take FROM CURRENT.
        schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
        for statement in (_CHECK_ENTRIES, _CHECK_PERIOD, "ALTER FUNCTION ledger_keep() SET search_path TO {schema}"):
            op.execute(statement.format(schema=schema))


def downgrade() -> None:
    if not (changes_shared_tables() and changes_own_tables()):
        raise ConfigurationError("a database with a schema for each brand cannot go back to the migration before them")
    if not _is_sqlite():
        for table in _KEPT:
            _keep_as_before(table, "UPDATE OR DELETE OR TRUNCATE")
        _keep_as_before("ledger_account", "DELETE OR TRUNCATE OR UPDATE OF id, name, currency, kind, holder_id")
        # The functions stay as they are: they do the same.
    op.drop_table("username")
    op.drop_table("database_layout")


def _has_brand_schemas() -> bool:
    """Return the choice, in which the setting is decisive."""
    chosen = bool(op.get_context().opts.get("brand_schemas"))
    if chosen and op.get_bind().scalar(sa.text("SELECT count(*) FROM brand")):
        raise ConfigurationError(
            "WALLET_HOOKS_BRAND_SCHEMAS: the database has brands in one schema already: migrate an empty database"
        )
    return chosen


def _keep(table: str, events: str) -> None:
    op.execute(f"DROP TRIGGER {table}_is_kept ON {table}")
    for name, event in (("kept", events), ("not_truncated", "TRUNCATE")):
        op.execute(
            f"CREATE TRIGGER {table}_is_{name} BEFORE {event} ON {table} FOR EACH STATEMENT"
            " EXECUTE FUNCTION ledger_keep()"
        )


def _keep_as_before(table: str, events: str) -> None:
    for name in ("kept", "not_truncated"):
        op.execute(f"DROP TRIGGER {table}_is_{name} ON {table}")
    op.execute(
        f"CREATE TRIGGER {table}_is_kept BEFORE {events} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()"
    )


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


_CHECK_ENTRIES = """
    CREATE OR REPLACE FUNCTION ledger_check_entries() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
    SET search_path TO {schema} AS $$
    DECLARE
        transactions bigint[];
        accounts bigint[];
        currencies text[];
        are_of_house boolean[];
    BEGIN
        IF EXISTS (SELECT FROM fresh GROUP BY transaction_id, currency HAVING sum(amount) <> 0) THEN
            RAISE EXCEPTION 'ledger: entries of a transaction do not sum to zero' USING ERRCODE = 'check_violation';
        END IF;
        SELECT array_agg(transaction_id), array_agg(account_id), array_agg(currency), array_agg(version IS NULL)
            INTO transactions, accounts, currencies, are_of_house FROM fresh;
        IF EXISTS (
            SELECT FROM unnest(transactions, accounts, currencies, are_of_house)
                AS entry (transaction_id, account_id, currency, is_of_house)
            LEFT JOIN ledger_transaction t ON t.id = entry.transaction_id
            LEFT JOIN ledger_account a ON a.id = entry.account_id AND a.currency = entry.currency COLLATE "C"
                AND (a.holder_id IS NULL) = entry.is_of_house
            WHERE t.id IS NULL OR a.id IS NULL OR t.xmin <> pg_current_xact_id()::xid
        ) THEN
            RAISE EXCEPTION 'ledger: an entry apart from its transaction, or on an account of another kind or currency'
                USING ERRCODE = 'foreign_key_violation';
        END IF;
        RETURN NULL;
    END $$
"""
_CHECK_PERIOD = """
    CREATE OR REPLACE FUNCTION ledger_check_period() RETURNS trigger LANGUAGE plpgsql
    SET search_path TO {schema} AS $$
    DECLARE
        first_day date;
        last_closed date;
    BEGIN
        SELECT min(booked_on) INTO first_day FROM fresh;
        SELECT max(day) INTO last_closed FROM ledger_period;
        IF first_day <= last_closed THEN
            RAISE EXCEPTION 'ledger: the period is closed' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
"""
