"""The service works through PgBouncer in transaction mode, with its prepared statements and without."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import postgresql
from tests.cashier.test_payments import PAY
from tests.console.staff import PASSWORD, add_staff
from tests.desk import Desk
from tests.faults.pgbouncer import PROGRAM, Pooler, can_prepare, pgbouncer
from tests.faults.test_network import fetch, send
from tests.faults.test_silence import requests_by_api
from tests.service import PATIENT_SETTINGS, served
from tests.test_commands import Shell
from tests.world import World
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import open_engine, writing
from wallet_hooks.settings import Settings

pytestmark = [pytest.mark.served, pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")]
BETS = 200


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture(params=[0, 100], ids=["unprepared", "prepared"])
def prepared(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def pooler(prepared: int, world: World, postgresql_server: postgresql.Server) -> Iterator[Pooler]:
    world.close_app()
    if prepared and not can_prepare():
        pytest.skip("this version of PgBouncer has no max_prepared_statements")
    with pgbouncer(postgresql_server.socket_dir, prepared=prepared) as one:
        yield one


@pytest.fixture
def pooled_url(pooler: Pooler, world: World) -> str:
    return pooler.url(world.database)


@pytest.fixture
def settings(prepared: int) -> dict[str, str]:
    return {"WALLET_HOOKS_PREPARED_STATEMENTS": str(bool(prepared))}


def test_bets_of_many_clients_are_taken(
    pooled_url: str, settings: dict[str, str], world: World, tmp_path: Path
) -> None:
    patient = settings | PATIENT_SETTINGS
    with served(pooled_url, tmp_path, workers=2, settings=patient) as (url, _), ThreadPoolExecutor(32) as clients:
        statuses = [one.status for one in clients.map(lambda uid: send(url, uid), range(BETS))]
        assert fetch(f"{url}/readyz").status == 200
    assert statuses == [200] * BETS
    assert world.balance() == "80.00"
    assert world.differences() == []


def test_statements_that_a_pooler_does_not_keep_fail_no_bet(
    world: World, postgresql_server: postgresql.Server, tmp_path: Path
) -> None:
    """As with a pooler older than 1.21 and the default setting: statements are prepared on connections that change."""
    world.close_app()
    with (
        pgbouncer(postgresql_server.socket_dir, prepared=0) as pooler,
        served(pooler.url(world.database), tmp_path, workers=2, settings=PATIENT_SETTINGS) as (url, _),
        ThreadPoolExecutor(32) as clients,
    ):
        statuses = [one.status for one in clients.map(lambda uid: send(url, uid), range(BETS))]
    assert statuses == [200] * BETS
    assert world.balance() == "80.00"
    assert world.differences() == []


def test_the_time_outs_hold(pooled_url: str, settings: dict[str, str], world: World, tmp_path: Path) -> None:
    with served(pooled_url, tmp_path, workers=2, settings=settings) as (url, _):
        assert send(url, 1).status == 200
        with writing(world.engine) as session:
            customer_by_uid(session, client="acme", uid="7", lock=True)
            sent = send(url, 2)
        assert sent.status == 503
        assert sent.seconds < 2, "the time-out for locks is 0.3 seconds"
        assert send(url, 2).status == 200


def test_what_one_transaction_sets_is_not_seen_by_the_next(pooled_url: str) -> None:
    engine = open_engine(Settings(database_url=pooled_url), for_callbacks=True)
    plain = open_engine(Settings(database_url=pooled_url))
    for _ in range(3):
        with engine.begin() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "300ms"
            assert connection.exec_driver_sql("SHOW enable_seqscan").scalar() == "off"
        with plain.begin() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
            assert connection.exec_driver_sql("SHOW enable_seqscan").scalar() == "on"
            assert connection.exec_driver_sql("SHOW timezone").scalar() == "UTC"
    engine.dispose()
    plain.dispose()


def test_every_api_works(pooler: Pooler, prepared: int, desk: Desk) -> None:
    direct = desk.world.settings.database_url
    desk.world.configure(database_url=pooler.url(desk.world.database), prepared_statements=prepared > 0)
    add_staff(desk.world, "operations")
    client = desk.world.app.test_client()
    client.post("/console/login", data={"username": "operations", "password": PASSWORD})
    requests = requests_by_api(desk)
    for _ in range(3):
        for path, body, headers in requests.values():
            sent = client.get(path, headers=headers) if body is None else client.post(path, json=body, headers=headers)
            assert sent.status_code == 200, (path, sent.text)
    paid = desk.call(
        f"token:{desk.api_token('cashier')}",
        "POST",
        "/v1/customers/ann/deposits/",
        PAY,
        headers={"Idempotency-Key": "k"},
    )
    assert paid.status == 200, paid
    desk.world.configure(database_url=direct)


def test_migrations_have_a_way_of_their_own(pooled_url: str, world: World) -> None:
    ran = Shell(pooled_url).run("db", "upgrade", WALLET_HOOKS_MIGRATION_DATABASE_URL="postgresql://127.0.0.1:1/nowhere")
    assert (ran.returncode, "127.0.0.1" in ran.stderr) == (1, True)
    ran = Shell(pooled_url).run("db", "upgrade", WALLET_HOOKS_MIGRATION_DATABASE_URL=world.settings.database_url)
    assert (ran.returncode, ran.stdout) == (0, "migrated\n")


def test_commands_and_exports_work(pooled_url: str, settings: dict[str, str], tmp_path: Path) -> None:
    with served(pooled_url, tmp_path, settings=settings) as (url, _):
        assert send(url, 1).status == 200
    shell = Shell(pooled_url)
    exported = tmp_path / "journal.parquet"
    for command in (
        ["verify"],
        ["export", "journal", "--format", "parquet", "-o", str(exported)],
        ["customer", "show", "--brand", "acme", "--uid", "7"],
        ["db", "upgrade"],
    ):
        assert shell.run(*command).returncode == 0, command
