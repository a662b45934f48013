"""Every test of behaviour runs on SQLite and on PostgreSQL, each on a database of its own."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests import postgresql
from tests.desk import Desk
from tests.world import World
from wallet_hooks.database import open_engine
from wallet_hooks.database.migrating import upgrade
from wallet_hooks.settings import Settings

hypothesis_settings.register_profile(
    "wallet-hooks",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
hypothesis_settings.load_profile("wallet-hooks")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    with postgresql.running() as server:
        server.set("fsync", "off")  # tests do not pull the plug; bench and faults say so themselves
        server.create("migrated")
        _migrate(server.url("migrated"))
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database with the current schema."""
    if engine_name == "sqlite":
        path = tmp_path / "wallet_hooks.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    name = f"test_{next(_numbers)}"
    server.create(name, template="migrated")
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def empty_world(database_url: str) -> Iterator[World]:
    """No brand yet."""
    world = World(database_url)
    yield world
    world.close()


@pytest.fixture
def world(empty_world: World) -> World:
    """Brand acme, provider betflex without credentials (loopback), and customer 7 with 100.00 EUR."""
    empty_world.brand()
    empty_world.provider()
    empty_world.customer()
    return empty_world


@pytest.fixture
def desk(world: World) -> Desk:
    """The world with groups of customers, and who manages them."""
    return Desk(world)


def _migrate(url: str) -> None:
    engine = open_engine(Settings(database_url=url))
    upgrade(engine)
    engine.dispose()
