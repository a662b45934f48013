"""Rules that the database enforces by triggers and constraints."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from tests.finance.tampering import tampered
from tests.world import OK, World, bet, result
from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.database.bulk import run
from wallet_hooks.database.writes import RowCountError
from wallet_hooks.ledger import chart, rules, service
from wallet_hooks.ledger.journal import Posting, fingerprint
from wallet_hooks.ledger.queries import HELD_ACCOUNTS, held_accounts

TRANSACTION = text(
    "INSERT INTO ledger_transaction (id, kind, reference, fingerprint, occurred_at, recorded_at, booked_on)"
    " VALUES (999, 'test', 'test', 'x', '2026-01-01', '2026-01-01', '2026-01-01')"
)
ENTRY = text(
    "INSERT INTO ledger_entry (transaction_id, line, account_id, currency, amount, balance_after, version)"
    " VALUES (999, :line, :account, :currency, :amount, :after, :version)"
)


def account(session: Session, name: str) -> int:
    found = session.scalar(text("SELECT id FROM ledger_account WHERE name = :name"), {"name": name})
    assert isinstance(found, int)
    return found


def write_entries(
    world: World,
    amounts: list[int],
    *,
    transactions: Sequence[int] = (),
    names: Sequence[str] = (),
    currency: str = "EUR",
    with_transaction: bool = True,
) -> None:
    """Insert rows directly, in the order that each engine's triggers require.

    `transactions` and `names` are the amounts' transactions and accounts; without them all are of 999 on psp:opening.
    """
    transactions = transactions or [999] * len(amounts)
    names = names or ["psp:opening"] * len(amounts)
    with writing(world.engine) as session:
        is_sqlite = world.engine.dialect.name == "sqlite"
        if with_transaction and not is_sqlite:
            write_transactions(session, transactions)
        entries = zip(transactions, [account(session, name) for name in names], amounts, strict=True)
        # One statement, because PostgreSQL's trigger checks all rows of a statement.
        values = ", ".join(
            f"({id_}, {n}, {held}, '{currency}', {amount})" for n, (id_, held, amount) in enumerate(entries)
        )
        session.execute(
            text(f"INSERT INTO ledger_entry (transaction_id, line, account_id, currency, amount) VALUES {values}")
        )
        if with_transaction and is_sqlite:
            write_transactions(session, transactions)


def write_transactions(session: Session, ids: Iterable[int]) -> None:
    for id_ in set(ids):
        session.execute(text(str(TRANSACTION).replace("999", str(id_)).replace("'test', 'test'", f"'test', '{id_}'")))


@pytest.mark.parametrize("transactions", [[999, 999, 999, 999], [998, 998, 999, 999]])
def test_balanced_entries_are_accepted(world: World, transactions: list[int]) -> None:
    write_entries(world, [5, -5, 3, -3], transactions=transactions)


@pytest.mark.parametrize(
    ("amounts", "currency", "with_transaction"),
    [([5, -4], "EUR", True), ([5], "EUR", True), ([5, -5], "USD", True), ([5, -5], "EUR", False)],
    ids=["unbalanced", "one-sided", "another currency than the account", "without a transaction"],
)
def test_entries_that_break_a_rule_are_refused(
    world: World, amounts: list[int], currency: str, with_transaction: bool
) -> None:
    before = world.count("ledger_entry")
    with pytest.raises(DBAPIError):
        write_entries(world, amounts, currency=currency, with_transaction=with_transaction)
    assert world.count("ledger_entry") == before


def test_an_entry_that_another_transaction_balances_is_refused(world: World) -> None:
    with pytest.raises(DBAPIError, match="do not sum to zero"):
        write_entries(world, [5, -4, 3, -4], transactions=[998, 998, 999, 999])


def test_one_entry_without_a_version_on_a_customers_account_is_refused(world: World) -> None:
    with pytest.raises(DBAPIError, match="an account of another kind or currency"):
        write_entries(world, [5, -5, 3, -3], names=["psp:opening", "players:1:UK", "psp:opening", "psp:opening"])


def test_an_unbalanced_entry_cannot_be_added_to_a_committed_transaction(world: World) -> None:
    write_entries(world, [5, -5])
    with pytest.raises(DBAPIError), writing(world.engine) as session:
        row = {"line": 9, "account": account(session, "psp:opening"), "currency": "EUR", "amount": 1}
        session.execute(ENTRY, row | {"after": None, "version": None})


def test_balanced_entries_cannot_be_added_to_a_committed_transaction(world: World) -> None:
    """They would change the totals of a past day."""
    write_entries(world, [5, -5])
    with pytest.raises(DBAPIError), writing(world.engine) as session:
        house = account(session, "psp:opening")
        values = ", ".join(f"(999, {line}, {house}, 'EUR', {amount})" for line, amount in ((8, 1), (9, -1)))
        session.execute(
            text(f"INSERT INTO ledger_entry (transaction_id, line, account_id, currency, amount) VALUES {values}")
        )


def test_temporary_tables_do_not_deceive_the_triggers(world: World) -> None:
    """A session may create them, and PostgreSQL would look there first."""
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite's triggers see the tables of their own database alone")
    write_entries(world, [5, -5])
    with pytest.raises(DBAPIError, match="apart from its transaction"), writing(world.engine) as session:
        session.execute(text("CREATE TEMP TABLE ledger_transaction ON COMMIT DROP AS SELECT 999::bigint AS id"))
        house = account(session, "psp:opening")
        values = ", ".join(f"(999, {line}, {house}, 'EUR', {amount})" for line, amount in ((8, 1), (9, -1)))
        session.execute(
            text(f"INSERT INTO ledger_entry (transaction_id, line, account_id, currency, amount) VALUES {values}")
        )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO ledger_transaction SELECT id, kind, 'forged', fingerprint, occurred_at, recorded_at,"
        " booked_on, description, reverses_id FROM ledger_transaction WHERE id = 1",
        "INSERT OR REPLACE INTO ledger_entry SELECT transaction_id, line, account_id, currency, 0, balance_after,"
        " version FROM ledger_entry WHERE transaction_id = 1",
        "INSERT OR REPLACE INTO ledger_account SELECT id, 'forged', currency, kind, holder_id, balance, version"
        " FROM ledger_account WHERE id = 1",
        "UPDATE ledger_account SET balance = balance + 0.5 WHERE holder_id IS NOT NULL",
    ],
    ids=["transaction", "entry", "account", "fraction"],
)
def test_sqlite_refuses_replace_and_fractions(world: World, statement: str) -> None:
    if world.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE and no dynamically typed columns")
    with pytest.raises(DBAPIError, match=r"ledger:|CHECK"), writing(world.engine) as session:
        session.execute(text(statement))
    assert world.differences() == []


@pytest.mark.parametrize("table", ["ledger_transaction", "ledger_entry", "ledger_account", "ledger_currency"])
@pytest.mark.parametrize("change", ["UPDATE {} SET currency = 'USD'", "DELETE FROM {}", "TRUNCATE {}"])
def test_ledger_rows_cannot_be_changed_or_deleted(shared_world: World, table: str, change: str) -> None:
    if change.startswith("TRUNCATE") and shared_world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    if table == "ledger_transaction":
        change = change.replace("currency = 'USD'", "booked_on = '2020-01-01'")
    if table == "ledger_currency":
        change = change.replace("currency = 'USD'", "decimals = 3")
    before = shared_world.count(table)
    with pytest.raises(DBAPIError, match=r"refused|correction"), writing(shared_world.engine) as session:
        session.execute(text(change.format(table)))
    assert shared_world.count(table) == before > 0


def test_a_reference_is_unique(world: World) -> None:
    with pytest.raises(IntegrityError), writing(world.engine) as session:
        for id_ in (997, 998):
            session.execute(text(str(TRANSACTION).replace("999", str(id_))))


def test_an_account_version_is_unique(world: World) -> None:
    """Two concurrent histories of one account cannot both be stored."""
    with pytest.raises(DBAPIError), writing(world.engine) as session:
        held = account(session, "players:1:UK")
        if world.engine.dialect.name == "postgresql":
            session.execute(TRANSACTION)
        row = {"line": 1, "account": held, "currency": "EUR", "amount": 0, "after": 0, "version": 1}
        session.execute(ENTRY, row)


def close(world: World, day: date) -> None:
    with writing(world.engine) as session:
        values = {"day": day, "now": clock.now()}
        session.execute(text("INSERT INTO ledger_period (day, closed_at) VALUES (:day, :now)"), values)


def test_nothing_is_posted_into_a_closed_period(world: World) -> None:
    close(world, date(2026, 1, 1))
    with pytest.raises(DBAPIError, match="the period is closed"):
        write_entries(world, [5, -5])


def test_a_late_bet_is_booked_on_the_first_open_day(world: World) -> None:
    today = clock.now().date()
    close(world, today + timedelta(days=2))
    assert world.place(bet()) == OK
    assert world.wager()["transactions"][0]["booked_on"] == (today + timedelta(days=3)).isoformat()
    assert {one.what for one in world.differences()} <= {"closed without a seal"}


def test_a_day_closed_while_a_group_runs_is_seen_by_its_retry(world: World) -> None:
    """The day is closed after the group has read which days are open, and before it writes."""
    today = clock.now().date()
    real = service.JournalWriter.add_to
    closed: list[date] = []

    def closing_writes(*args: object, **kwargs: object) -> object:
        if not closed:
            closed.append(today)
            if world.engine.dialect.name == "postgresql":
                close(world, today)
            else:
                raise_closed()
        return real(*args, **kwargs)  # type: ignore[arg-type]

    def raise_closed() -> None:
        """Simulate it: SQLite has one writer, so no day can be closed while a group writes."""
        import sqlite3  # noqa: PLC0415

        raise sqlite3.IntegrityError("ledger: the period is closed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service.JournalWriter, "add_to", closing_writes)
        assert world.place(bet()) == OK
    if world.engine.dialect.name == "postgresql":
        assert world.wager()["transactions"][0]["booked_on"] == (today + timedelta(days=1)).isoformat()


def test_a_balance_that_changed_after_it_was_read_is_not_written(world: World) -> None:
    """The writer checks versions, in case a caller did not lock the customer."""
    now = clock.now()
    with pytest.raises(RowCountError), writing(world.engine) as session:
        posting = Posting("deposit", "r", fingerprint(1), now, now.date(), rules.deposited(1, "opening", "EUR", 5))
        connection = session.connection()
        journal = service.prepare(connection, count=1, recorded_at=now)
        journal.held = held_accounts(run(connection, HELD_ACCOUNTS([(1,)])))
        journal.held[chart.player(1, "EUR")].version_read -= 1
        journal.post(posting)
        service.save(connection, journal)
    assert world.balance() == "100.00"


def test_verify_reports_changes_made_without_triggers(world: World) -> None:
    world.place(bet(1), bet(2))
    world.settle(result(1))
    assert world.differences() == []
    tampered(
        world,
        "UPDATE ledger_entry SET amount = amount + 1 WHERE transaction_id = 2 AND line = 1",
        "UPDATE ledger_account SET balance = balance - 7 WHERE name = 'players:1:open_stakes'",
    )
    found = {difference.rule: difference.where for difference in world.differences()}
    assert found["entries sum to zero"] == "transaction 2"
    assert found["a balance equals the sum of its entries"].startswith("account players:1:")
    assert found["versions are gap-free and balances run on"].startswith("account")
