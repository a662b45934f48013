"""Databases in which each brand has a schema, whatever the other tests have."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Databases, migrate
from tests.test_commands import Shell
from tests.world import World

BRANDS = {"acme": 1007, "nordbet": 1008, "west": 1009}
_numbers = itertools.count(1)


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.brand_schemas)


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
def copy_template(databases: Databases) -> Callable[[str], str]:
    """Return a function that copies a filled database to a name, and returns the copy's URL."""
    databases.create("spread")
    fill(databases.url("spread"))

    def copy(name: str) -> str:
        databases.create(name, template="spread")
        return databases.url(name)

    return copy


@pytest.fixture
def spread_url(databases: Databases, copy_template: Callable[[str], str]) -> Iterator[str]:
    name = f"spread_{next(_numbers)}"
    yield copy_template(name)
    databases.drop(name)


@pytest.fixture
def spread(spread_url: str) -> Iterator[World]:
    """Brands acme, nordbet and west, each with provider betflex and customer 7 with 100.00 EUR."""
    world = World(spread_url, brand_schemas=True)
    yield world
    world.close()


@pytest.fixture
def shell(spread: World) -> Shell:
    return Shell(spread.settings.database_url, WALLET_HOOKS_BRAND_SCHEMAS="on")
