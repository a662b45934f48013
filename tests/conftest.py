"""Fixtures: every test of behaviour runs on SQLite and on PostgreSQL, with a new database per test."""

import gc
import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests import citus, postgresql
from tests.desk import Desk
from tests.routing import CachedRule
from tests.world import HAS_BRAND_SCHEMAS, World
from wallet_hooks import money
from wallet_hooks.database import open_engine
from wallet_hooks.database.migrating import upgrade
from wallet_hooks.identity import passwords
from wallet_hooks.settings import Settings

hypothesis_settings.register_profile(
    "wallet-hooks",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
hypothesis_settings.load_profile("wallet-hooks")

# An application is thousands of objects, and most tests make one: with Python's own threshold of 700 new objects, the
# search for garbage takes a twentieth of the suite's time.
gc.set_threshold(100_000, 10, 10)

# Where this is set, each process that a test starts would compile all modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_numbers = itertools.count(1)

# Where the tests' databases are.
Databases = postgresql.Server | citus.Cluster


class Templates:
    """Template databases that are created once per session and copied for each test."""

    def __init__(self, directory: Path, request: pytest.FixtureRequest) -> None:
        self._directory = directory
        self._request = request
        self._made: set[tuple[str, str]] = set()
        self._unused: list[str] = []

    def copy(self, engine_name: str, template: str, target: Path) -> tuple[str, Callable[[], None]]:
        """Copy a template. Returns the copy's URL and a function that has it dropped.

        On PostgreSQL it is dropped before the next copy: by then its connections have ended. DROP DATABASE would wait a
        tenth of a second for them, as long as many a test takes.
        """
        if (engine_name, template) not in self._made:
            self._make(engine_name, template)
        if engine_name == "sqlite":
            shutil.copy(self._directory / f"{template}.db", target)
            return f"sqlite:///{target}", lambda: None
        server: Databases = self._request.getfixturevalue("databases")
        while self._unused:
            server.drop(self._unused.pop())
        name = f"test_{next(_numbers)}"
        server.create(name, template=template)
        return server.url(name), lambda: self._unused.append(name)

    def _make(self, engine_name: str, template: str) -> None:
        base, fill = _TEMPLATES[template]
        path = self._directory / f"{template}.db"
        url = f"sqlite:///{path}"
        if engine_name == "postgresql":
            server: Databases = self._request.getfixturevalue("databases")
            if base is not None:
                self.copy(engine_name, base, path)[1]()
            server.create(template, template=base or "template1")
            url = server.url(template)
        elif base is not None:
            self.copy(engine_name, base, path)
        fill(url)
        self._made.add((engine_name, template))


def migrate(url: str, *, brand_schemas: bool = HAS_BRAND_SCHEMAS) -> None:
    """Migrate an empty database."""
    engine = open_engine(Settings(database_url=url, brand_schemas=brand_schemas))
    upgrade(engine)
    engine.dispose()


def fill_world(url: str) -> None:
    """Fill a migrated database as the fixture `world` describes."""
    world = World(url)
    world.brand()
    world.provider()
    world.customer()
    world.close()


def _fill_desk(url: str) -> None:
    world = World(url)
    Desk(world).create()
    world.close()


# Per template: the template that it is copied from, and the function that fills it.
_TEMPLATES: dict[str, tuple[str | None, Callable[[str], None]]] = {
    "migrated": (None, migrate),
    "world": ("migrated", fill_world),
    "desk": ("world", _fill_desk),
}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out a file of slow tests that takes seconds to collect, where slow tests do not run."""
    return ("not slow" in config.option.markexpr and collection_path.name == "test_schemathesis.py") or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that a schema for each brand does not concern."""
    for item in items:
        if HAS_BRAND_SCHEMAS and item.get_closest_marker("all_together"):
            item.add_marker(pytest.mark.skip(reason="needs the brands' tables together"))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    with postgresql.running(in_memory=True) as server:
        server.set("fsync", "off")  # tests need no durability; benchmarks start a server with fsync on
        yield server


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    if citus.COORDINATOR is None:
        yield request.getfixturevalue("postgresql_server")
        return
    with closing(citus.Cluster(citus.COORDINATOR)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"), request)


@pytest.fixture(scope="session", autouse=True)
def cached_routes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "url_rule_class", CachedRule)
        yield


@pytest.fixture(scope="session", autouse=True)
def production_hasher() -> Iterator[PasswordHasher]:
    """Make password hashing cheap, because it is slow by design. Yields the hasher that the service uses."""
    hasher = passwords._hasher
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield hasher


@pytest.fixture(autouse=True)
def known_currencies() -> Iterator[None]:
    """Clear the registered currencies after each test, because each test has another database."""
    yield
    money.configure({})


_ENGINES = ("postgresql",) if HAS_BRAND_SCHEMAS else ("sqlite", "postgresql")


@pytest.fixture(params=_ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _world(templates: Templates, engine_name: str, template: str, directory: Path) -> Iterator[World]:
    url, drop = templates.copy(engine_name, template, directory / f"{template}.db")
    world = World(url)
    yield world
    world.close()
    drop()


@pytest.fixture
def database_url(engine_name: str, templates: Templates, tmp_path: Path) -> Iterator[str]:
    """A migrated database without data."""
    url, drop = templates.copy(engine_name, "migrated", tmp_path / "wallet_hooks.db")
    yield url
    drop()


@pytest.fixture
def empty_world(database_url: str) -> Iterator[World]:
    """A world without a brand."""
    world = World(database_url)
    yield world
    world.close()


@pytest.fixture
def world(engine_name: str, templates: Templates, tmp_path: Path) -> Iterator[World]:
    """A world with brand acme, provider betflex with `--auth none`, and customer 7 with 100.00 EUR."""
    yield from _world(templates, engine_name, "world", tmp_path)


@pytest.fixture(scope="module", params=_ENGINES)
def shared_world(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """The world, for the tests of a file that change nothing: making a world takes longer than most of them."""
    yield from _world(templates, request.param, "world", tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module", params=_ENGINES)
def shared_desk(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """The desk, for the tests of a file that change nothing."""
    for world in _world(templates, request.param, "desk", tmp_path_factory.mktemp("shared")):
        yield Desk(world)


@pytest.fixture
def desk(engine_name: str, templates: Templates, tmp_path: Path) -> Iterator[Desk]:
    """The world with groups of customers and their managers."""
    for world in _world(templates, engine_name, "desk", tmp_path):
        yield Desk(world)


@pytest.fixture
def desks(templates: Templates, tmp_path: Path) -> Iterator[list[Desk]]:
    """A desk on each engine, for inputs that are more expensive to generate than to send."""
    with ExitStack() as open_worlds:
        enter = contextmanager(_world)
        yield [
            Desk(open_worlds.enter_context(enter(templates, engine_name, "desk", tmp_path))) for engine_name in _ENGINES
        ]
