"""`db check` where the brands share their tables."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.test_commands import Shell
from tests.world import World
from wallet_hooks import probes

pytestmark = [pytest.mark.parametrize("engine_name", ["postgresql"]), pytest.mark.all_together]


@pytest.fixture
def service(world: World) -> Iterator[Shell]:
    """A shell of a role that has all rights on the tables."""
    role = f"service_{world.database}"
    with world.engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"))
        connection.execute(text(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"))
    yield Shell(world.settings.database_url.replace("postgres@", f"{role}@"))
    with world.engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


def test_readiness_notices_what_changes_later(world: World, service: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_CHECK_INTERVAL", 0.0)
    served = World(service.environment["WALLET_HOOKS_DATABASE_URL"])
    assert served.client.get("/readyz").status_code == 200
    with world.engine.begin() as connection:
        connection.execute(text(f"REVOKE INSERT ON delivery FROM service_{world.database}"))
    answer = served.client.get("/readyz")
    assert (answer.status_code, "insert on delivery" in answer.get_json()["status"]) == (503, True)
    served.close()


def test_a_schema_with_the_roles_name_may_be_empty(world: World, service: Shell) -> None:
    """PostgreSQL looks for tables there first."""
    with world.engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA service_{world.database} AUTHORIZATION service_{world.database}"))
    assert service.ok("db", "check") == "no problem found\n"


def test_a_right_to_update_the_columns_that_change_is_enough(world: World, service: Shell) -> None:
    role = f"service_{world.database}"
    with world.engine.begin() as connection:
        connection.execute(text(f"REVOKE UPDATE ON ledger_account FROM {role}"))
        connection.execute(text(f"GRANT UPDATE (balance, version) ON ledger_account TO {role}"))
    assert service.ok("db", "check") == "no problem found\n"


@pytest.mark.parametrize(
    ("right", "problem"),
    [
        ("UPDATE ON ledger_account", "update on ledger_account"),
        ("INSERT ON delivery", "insert on delivery"),
        ("SELECT ON brand", "select on brand"),
        ("INSERT ON brand, bookie, provider, exchange_rate", None),
        ("UPDATE ON ledger_entry, ledger_transaction", None),
    ],
)
def test_the_rights_that_the_service_needs_are_asked_for(
    world: World, service: Shell, right: str, problem: str | None
) -> None:
    with world.engine.begin() as connection:
        connection.execute(text(f"REVOKE {right} FROM service_{world.database}"))
    ran = service.run("db", "check")
    found = ran.stdout + ran.stderr
    assert (ran.returncode, (problem or "no problem found") in found) == (1 if problem else 0, True), found
