"""Databases in which each brand has a schema, whatever the other tests have."""

import itertools
from collections.abc import Iterator

import pytest

from tests import postgresql
from tests.conftest import migrate
from tests.test_commands import Shell
from tests.world import World

BRANDS = {"acme": 1007, "nordbet": 1008, "west": 1009}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def spread_template(postgresql_server: postgresql.Server) -> str:
    name = "spread"
    postgresql_server.create(name)
    url = postgresql_server.url(name)
    migrate(url, brand_schemas=True)
    world = World(url, brand_schemas=True)
    for client, id_ in BRANDS.items():
        world.brand(client, id_=id_)
        world.provider(client)
        world.customer(client=client)
    world.close()
    return name


@pytest.fixture
def spread(postgresql_server: postgresql.Server, spread_template: str) -> Iterator[World]:
    """Brands acme, nordbet and west, each with provider betflex and customer 7 with 100.00 EUR."""
    name = f"spread_{next(_numbers)}"
    postgresql_server.create(name, template=spread_template)
    world = World(postgresql_server.url(name), brand_schemas=True)
    yield world
    world.close()
    postgresql_server.drop(name)


@pytest.fixture
def shell(spread: World) -> Shell:
    return Shell(spread.settings.database_url, WALLET_HOOKS_BRAND_SCHEMAS="on")
