"""Migrations during a running service, and several at once."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from tests import postgresql
from tests.test_commands import BRAND, Shell
from tests.world import OK, World, bet, error
from wallet_hooks.database import migrating, open_engine
from wallet_hooks.settings import Settings

COMMAND = str(Path(sys.executable).with_name("wallet-hooks"))
ADVICE = "run wallet-hooks db upgrade"
WAITING = "waiting for another process to finish migrating\n"


@pytest.fixture
def fresh_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database without schema."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'fresh.db'}"
        return
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    server.create("fresh")
    yield server.url("fresh")
    server.drop("fresh")


def start(url: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"WALLET_HOOKS_DATABASE_URL": url}
    return subprocess.Popen(
        [COMMAND, "db", "upgrade"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_four_upgrades_at_once_all_succeed(fresh_url: str) -> None:
    started = [start(fresh_url) for _ in range(4)]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err.replace(WAITING, "")) == (0, "migrated\n", "")
    world = World(fresh_url)
    assert world.client.get("/readyz").get_json() == {"status": "ok"}
    world.close()


def lock(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    holder = psycopg.connect(url, autocommit=True)
    holder.execute("SELECT pg_advisory_lock(%s)", [migrating._LOCK])
    return holder


def test_an_upgrade_waits_for_another_upgrade(postgresql_server: postgresql.Server, database_url: str) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite's transactions exclude each other")
    with lock(database_url):
        process = start(database_url)
        assert process.stderr is not None
        assert process.stderr.readline() == WAITING
        assert process.poll() is None
    assert process.communicate(timeout=120) == ("migrated\n", "")
    assert process.returncode == 0


def test_an_upgrade_stops_waiting_after_a_timeout(
    postgresql_server: postgresql.Server, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite's transactions exclude each other")
    monkeypatch.setattr(migrating, "_LOCK_TIMEOUT", 0.0)
    with lock(database_url):
        ran = Shell(database_url).run("db", "upgrade")
    assert (ran.returncode, ran.stderr.removeprefix(WAITING)) == (
        1, "wallet-hooks: try_again: another process has been migrating for ten minutes\n",
    )  # fmt: skip
    assert Shell(database_url).run("db", "upgrade", "nosuch").returncode == 1
    assert Shell(database_url).ok("db", "upgrade") == "migrated\n"
    with lock(database_url):  # is free again
        pass


def unmigrated(url: str) -> None:
    """Leave the database unmigrated."""


def outdated(url: str) -> None:
    """Migrate the database except for the newest migration, which no command needs."""
    engine = open_engine(Settings(database_url=url))
    migrating.upgrade(engine)
    migrating.downgrade(engine, "-1")
    engine.dispose()


COMMANDS = [
    ["brand", "list"],
    BRAND,
    ["customer", "list"],
    ["verify"],
    ["export", "trial-balance", "-o", "trial-balance.csv"],
    ["close", "2026-11-20"],
    ["deliveries", "prune"],
    ["demo"],
]


@pytest.mark.parametrize("state", [unmigrated, outdated])
def test_commands_on_an_outdated_schema_print_what_to_run(
    fresh_url: str, state: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state(fresh_url)
    shell = Shell(fresh_url)
    for command in COMMANDS:
        ran = shell.run(*command)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1), (command, ran)
        assert ADVICE in ran.stderr, (command, ran)
    shell.ok("customer", "list", "--help")
    shell.ok("db", "upgrade")
    shell.ok(*BRAND)


def test_replay_on_an_unmigrated_database_prints_what_to_run(fresh_url: str, tmp_path: Path) -> None:
    case = Path(__file__).parent.parent / "fixtures" / "callbacks" / "settling" / "lost-then-won.json"
    ran = Shell(f"sqlite:///{tmp_path / 'other.db'}").run("replay", "run", str(case), "--database", fresh_url)
    assert ran.returncode != 0
    assert ADVICE in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_service_on_an_unmigrated_database_is_not_ready_and_answers_503(fresh_url: str) -> None:
    world = World(fresh_url)
    ready = world.client.get("/readyz")
    assert ready.status_code == 503
    assert ADVICE in ready.get_json()["status"]
    assert world.place(bet()) == error(503, "try_again")
    for path, headers in (
        ("/v1/customers/", {"Session": "x"}),
        ("/finance/exports/journal.csv", {"Authorization": "Bearer x"}),
        ("/gateway/limits/v1/player/limits/1007", {"x-auth-token": "x"}),
    ):
        assert world.client.get(path, headers=headers).status_code == 503, path
    assert world.client.get("/metrics").status_code == 200
    world.close()


def test_a_service_continues_after_a_newer_version_migrated(world: World) -> None:
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert world.client.get("/readyz").status_code == 200
    assert world.place(bet()) == OK
    Shell(world.settings.database_url).ok("customer", "list")
