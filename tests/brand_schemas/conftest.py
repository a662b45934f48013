"""Databases in which each brand has a schema, whatever the other tests have.

With WALLET_HOOKS_TEST_CITUS_URL, which names the coordinator of a Citus cluster, they are on that cluster.
"""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from tests import postgresql
from tests.brand_schemas import citus
from tests.conftest import migrate
from tests.test_commands import Shell
from tests.world import World

BRANDS = {"acme": 1007, "nordbet": 1008, "west": 1009}
CITUS = os.environ.get("WALLET_HOOKS_TEST_CITUS_URL")
_numbers = itertools.count(1)


def fill(url: str) -> None:
    """Migrate a database, and add three brands with provider and customer."""
    migrate(url, brand_schemas=True)
    world = World(url, brand_schemas=True)
    for client, id_ in BRANDS.items():
        world.brand(client, id_=id_)
        world.provider(client)
        world.customer(client=client)
    world.close()


@pytest.fixture(scope="session")
def copy_template(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Return a function that copies a filled database to a name, and returns the copy's URL."""
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    server.create("spread")
    fill(server.url("spread"))

    def copy(name: str) -> str:
        server.create(name, template="spread")
        return server.url(name)

    return copy


@pytest.fixture
def spread_url(request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"spread_{os.getpid()}_{next(_numbers)}"
    if CITUS is not None:
        with citus.database(CITUS, name) as url:
            fill(url)
            yield url
        return
    copy: Callable[[str], str] = request.getfixturevalue("copy_template")
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    yield copy(name)
    server.drop(name)


@pytest.fixture
def spread(spread_url: str) -> Iterator[World]:
    """Brands acme, nordbet and west, each with provider betflex and customer 7 with 100.00 EUR."""
    world = World(spread_url, brand_schemas=True)
    yield world
    world.close()


@pytest.fixture
def shell(spread: World) -> Shell:
    return Shell(spread.settings.database_url, WALLET_HOOKS_BRAND_SCHEMAS="on")
