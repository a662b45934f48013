"""Errors of databases, and of Citus' nodes, are classified by what a caller can do about them."""

import sqlite3
from contextlib import closing

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from tests.test_commands import OF_ANN, Shell
from tests.world import World
from wallet_hooks.database import Fault, fault_of

# Messages of a Citus cluster whose nodes were killed, and whose rows were in conflict; it reports them as XX000.
_FROM_NODES = [
    ('duplicate key value violates unique constraint "wager_pkey_102025"', Fault.DUPLICATE),
    ("failure on connection marked as essential: 127.0.0.1:6401", Fault.LOST),
    ("server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally", Fault.LOST),
    ("connection to the remote node postgres@127.0.0.1:6402 failed", Fault.LOST),
    ("postmaster was shut down, exiting", Fault.LOST),
    ("could not open relation with OID 16500", Fault.OTHER),
]


@pytest.mark.parametrize(("message", "fault"), _FROM_NODES)
def test_what_a_node_reported_to_its_coordinator(message: str, fault: Fault) -> None:
    assert fault_of(errors.InternalError_(message)) is fault
    assert fault_of(DBAPIError("SELECT 1", None, errors.InternalError_(message))) is fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.ConnectionFailure("connection not open"), Fault.LOST),
        (errors.DiskFull("no space left"), Fault.LOST),
        (errors.LockNotAvailable("lock timeout"), Fault.LATE),
        (errors.UniqueViolation("duplicate key"), Fault.DUPLICATE),
        (errors.SerializationFailure("conflict"), Fault.CONTENDED),
        (errors.UndefinedTable("no such table"), Fault.SCHEMA_OUTDATED),
        (psycopg.OperationalError("no connection"), Fault.LOST),
        (
            psycopg.OperationalError("sending query failed: number of parameters must be between 0 and 65535"),
            Fault.OTHER,
        ),
        (InvalidRequestError("This connection is closed"), Fault.LOST),
        (InvalidRequestError("a mistake in our code"), Fault.OTHER),
        (ValueError("a mistake in our code"), Fault.OTHER),
    ],
)
def test_what_the_driver_and_its_pool_report(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


def test_a_sum_that_sqlite_cannot_hold_is_out_of_range() -> None:
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.Error) as raised:
        connection.execute("SELECT sum(x) FROM (SELECT 9223372036854775807 AS x UNION ALL SELECT 1)").fetchall()
    assert fault_of(raised.value) is Fault.OUT_OF_RANGE


def test_nothing_is_written_where_the_database_is_read_only(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no such setting")
    with world.engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {world.database} SET default_transaction_read_only = on"))
    shell = Shell(world.settings.database_url)
    for command in (
        ("cashier", "deposit", *OF_ANN, "--amount", "5.00", "--reference", "r", "--method", "card"),
        ("rate", "set", "GBP", "EUR", "1.17"),
        ("customer", "create", "--brand", "acme", "--uid", "90", "--username", "new", "--currency", "EUR"),
    ):
        ran = shell.run(*command)
        assert (ran.returncode, "read-only transaction" in ran.stderr) == (1, True), command
    assert world.balance() == "100.00"
