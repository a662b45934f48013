"""Saving a journal finds accounts by name, creates missing ones and caches the ids of house accounts."""

from sqlalchemy import Connection, text

from tests.world import World
from wallet_hooks import clock
from wallet_hooks.database import connection_cache
from wallet_hooks.ledger import chart, service
from wallet_hooks.ledger.journal import Line, Posting

HOUSE = (chart.payment_provider("visa", "EUR"), chart.adjustments_expense("acme", "EUR"))


def post(connection: Connection, reference: str) -> None:
    now = clock.now()
    journal = service.prepare(connection, count=1, recorded_at=now)
    lines = (Line(HOUSE[0], 5), Line(HOUSE[1], -5))
    journal.post(Posting("deposit", reference, "facts", now, now.date(), lines))
    service.save(connection, journal)


def names(world: World) -> set[str]:
    with world.engine.begin() as connection:
        found = connection.execute(text("SELECT name FROM ledger_account WHERE holder_id IS NULL")).scalars()
        return set(found)


def test_house_accounts_are_created_once_and_their_ids_cached(world: World) -> None:
    with world.engine.connect() as connection:
        for reference in ("first", "second"):
            with connection.begin():
                post(connection, reference)
                assert set(connection_cache(connection)["house account ids"]) >= set(HOUSE)
    assert {account.name for account in HOUSE} <= names(world)
    assert world.differences() == []


def test_an_id_created_in_a_rolled_back_transaction_is_not_cached(world: World) -> None:
    with world.engine.connect() as connection:
        with connection.begin() as transaction:
            post(connection, "lost")
            transaction.rollback()
        assert not {account.name for account in HOUSE} & names(world)
        with connection.begin():
            post(connection, "kept")
    assert {account.name for account in HOUSE} <= names(world)
    assert world.differences() == []


def test_a_database_transaction_can_save_two_journals(world: World) -> None:
    with world.engine.begin() as connection:
        post(connection, "first")
        post(connection, "second")
    assert world.differences() == []
