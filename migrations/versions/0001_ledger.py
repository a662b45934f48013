"""Create the ledger: accounts, transactions, entries, closed periods, and triggers that enforce its rules."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_account",
        *_whole_numbers("ledger_account", "balance", "version"),
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("name", Key(200), nullable=False),
        sa.Column("currency", Key(6), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("holder_id", sa.BigInteger),
        sa.Column("balance", sa.BigInteger),
        sa.Column("version", sa.BigInteger),
        sa.UniqueConstraint("name", "currency", name=op.f("uq_ledger_account_name_currency")),
        sa.CheckConstraint(
            "kind IN ('asset', 'liability', 'income', 'expense', 'equity')", name=op.f("ck_ledger_account_kind")
        ),
        sa.CheckConstraint(
            "(holder_id IS NULL) = (balance IS NULL) AND (holder_id IS NULL) = (version IS NULL)",
            name=op.f("ck_ledger_account_held"),
        ),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(op.f("ix_ledger_account_holder_id"), "ledger_account", ["holder_id"])
    entry_rules: list[sa.schema.SchemaItem] = []
    if _is_sqlite():
        # PostgreSQL checks both in a trigger that runs once per statement, at a fraction of a foreign key's cost.
        entry_rules = [
            sa.ForeignKeyConstraint(
                ["transaction_id"],
                ["ledger_transaction.id"],
                name=op.f("fk_ledger_entry_transaction_id"),
                deferrable=True,
                initially="DEFERRED",
            ),
            sa.ForeignKeyConstraint(["account_id"], ["ledger_account.id"], name=op.f("fk_ledger_entry_account_id")),
        ]
    op.create_table(
        "ledger_transaction",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("reference", Key(250), nullable=False),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("occurred_at", UTCDateTime, nullable=False),
        sa.Column("recorded_at", UTCDateTime, nullable=False),
        sa.Column("booked_on", sa.Date, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("reverses_id", sa.BigInteger),
        sa.Column("metadata", sa.JSON),
        sa.UniqueConstraint("reference", name=op.f("uq_ledger_transaction_reference")),
    )
    op.create_index(
        op.f("ix_ledger_transaction_booked_on"), "ledger_transaction", ["booked_on"], postgresql_using="brin"
    )
    op.create_table(
        "ledger_entry",
        sa.Column("transaction_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("line", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("currency", Key(6), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("balance_after", sa.BigInteger),
        sa.Column("version", sa.BigInteger),
        sa.CheckConstraint("(balance_after IS NULL) = (version IS NULL)", name=op.f("ck_ledger_entry_held")),
        *_whole_numbers("ledger_entry", "amount", "balance_after", "version"),
        *entry_rules,
    )
    op.create_index(
        "uq_ledger_entry_account_id_version",
        "ledger_entry",
        ["account_id", "version"],
        unique=True,
        postgresql_where=sa.text("version IS NOT NULL"),
        sqlite_where=sa.text("version IS NOT NULL"),
    )
    op.create_table(
        "ledger_period",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("closed_at", UTCDateTime, nullable=False),
    )
    op.create_table(
        "exchange_rate",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("source", Key(6), nullable=False),
        sa.Column("target", Key(6), nullable=False),
        sa.Column("rate", sa.String(26), nullable=False),
        sa.Column("valid_from", UTCDateTime, nullable=False),
        sa.UniqueConstraint("source", "target", "valid_from", name=op.f("uq_exchange_rate_source_target_valid_from")),
    )
    for statement in _SQLITE_RULES if _is_sqlite() else _POSTGRESQL_RULES:
        op.execute(statement)


def downgrade() -> None:
    if not _is_sqlite():
        for table in ("ledger_entry", "ledger_transaction", "ledger_account"):
            op.execute(f"DROP TRIGGER {table}_is_kept ON {table}")
        op.execute("DROP TRIGGER ledger_entry_is_balanced ON ledger_entry")
        op.execute("DROP TRIGGER ledger_transaction_is_in_open_period ON ledger_transaction")
        for function in ("keep", "check_entries", "check_period"):
            op.execute(f"DROP FUNCTION ledger_{function}()")
        op.execute("DROP SEQUENCE ledger_transaction_id")
    for table in ("exchange_rate", "ledger_period", "ledger_entry", "ledger_transaction", "ledger_account"):
        op.drop_table(table)


def _whole_numbers(table: str, *columns: str) -> list[sa.CheckConstraint]:
    """Return a CHECK for integers: SQLite would store a too large integer as a float, and accept floats."""
    if not _is_sqlite():
        return []
    condition = " AND ".join(f"typeof({column}) IN ('integer', 'null')" for column in columns)
    return [sa.CheckConstraint(condition, name=op.f(f"ck_{table}_exact"))]


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


# Triggers run once per statement, over all its rows: entries are balanced and belong to a transaction of the same
# database transaction and to accounts of their currency; no row is changed, deleted or truncated; nothing is posted
# into closed days.
_POSTGRESQL_RULES = (
    "CREATE SEQUENCE ledger_transaction_id",
    """
    CREATE FUNCTION ledger_check_entries() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off AS $$
    BEGIN
        IF EXISTS (SELECT FROM fresh GROUP BY transaction_id, currency HAVING sum(amount) <> 0) THEN
            RAISE EXCEPTION 'ledger: entries of a transaction do not sum to zero' USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (
            SELECT FROM fresh
            LEFT JOIN ledger_transaction t ON t.id = fresh.transaction_id
            LEFT JOIN ledger_account a ON a.id = fresh.account_id AND a.currency = fresh.currency
                AND (a.holder_id IS NULL) = (fresh.version IS NULL)
            WHERE t.id IS NULL OR a.id IS NULL OR t.xmin <> pg_current_xact_id()::xid
        ) THEN
            RAISE EXCEPTION 'ledger: an entry apart from its transaction, or on an account of another kind or currency'
                USING ERRCODE = 'foreign_key_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER ledger_entry_is_balanced AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_entries()
    """,
    """
    CREATE FUNCTION ledger_check_period() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT min(booked_on) FROM fresh) <= (SELECT max(day) FROM ledger_period) THEN
            RAISE EXCEPTION 'ledger: the period is closed' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER ledger_transaction_is_in_open_period AFTER INSERT ON ledger_transaction
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_period()
    """,
    """
    CREATE FUNCTION ledger_keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'ledger: % of % is refused; a correction is a new transaction', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER ledger_transaction_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()
    """,
    """
    CREATE TRIGGER ledger_entry_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()
    """,
    """
    CREATE TRIGGER ledger_account_is_kept
    BEFORE DELETE OR TRUNCATE OR UPDATE OF id, name, currency, kind, holder_id ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()
    """,
)


def _refuse(name: str, event: str, table: str, condition: str, message: str) -> str:
    when = f" WHEN {condition}" if condition else ""
    return f"CREATE TRIGGER {name} {event} ON {table}{when} BEGIN SELECT RAISE(ABORT, '{message}'); END"


# SQLite runs triggers per row. Entries are inserted first. The row of their transaction comes last: its trigger checks
# that they are balanced, and no entry may be added afterwards. Without that row, the deferred foreign key fails at
# commit.
_SQLITE_RULES = (
    _refuse(
        "ledger_transaction_is_balanced",
        "AFTER INSERT",
        "ledger_transaction",
        "EXISTS (SELECT 1 FROM ledger_entry WHERE transaction_id = NEW.id GROUP BY currency HAVING sum(amount) <> 0)",
        "ledger: entries of a transaction do not sum to zero",
    ),
    _refuse(
        "ledger_transaction_is_new",
        "BEFORE INSERT",
        "ledger_transaction",
        "EXISTS (SELECT 1 FROM ledger_transaction WHERE id = NEW.id OR reference = NEW.reference)",
        "ledger: the id or reference is taken",
    ),
    _refuse(
        "ledger_entry_comes_with_its_transaction",
        "BEFORE INSERT",
        "ledger_entry",
        "EXISTS (SELECT 1 FROM ledger_transaction WHERE id = NEW.transaction_id)",
        "ledger: an entry for a transaction that is complete",
    ),
    _refuse(
        "ledger_entry_fits_its_account",
        "BEFORE INSERT",
        "ledger_entry",
        "NOT EXISTS (SELECT 1 FROM ledger_account WHERE id = NEW.account_id AND currency = NEW.currency"
        " AND (holder_id IS NULL) = (NEW.version IS NULL))",
        "ledger: an entry on an account of another kind or currency",
    ),
    _refuse(
        "ledger_transaction_is_in_open_period",
        "BEFORE INSERT",
        "ledger_transaction",
        "NEW.booked_on <= (SELECT max(day) FROM ledger_period)",
        "ledger: the period is closed",
    ),
    *(
        _refuse(
            f"{table}_is_kept_from_{event.split()[0].lower()}",
            f"BEFORE {event}",
            table,
            "",
            f"ledger: {event.split()[0]} of {table} is refused; a correction is a new transaction",
        )
        for table, event in (
            ("ledger_transaction", "UPDATE"),
            ("ledger_transaction", "DELETE"),
            ("ledger_entry", "UPDATE"),
            ("ledger_entry", "DELETE"),
            ("ledger_account", "UPDATE OF id, name, currency, kind, holder_id"),
            ("ledger_account", "DELETE"),
        )
    ),
)
