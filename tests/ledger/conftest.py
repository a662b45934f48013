"""Fixtures of the ledger tests."""

import pytest

from tests.ledger.bitcoin import list_bitcoin, unlist_bitcoin
from tests.test_commands import Shell
from tests.world import World


@pytest.fixture
def shell(world: World) -> Shell:
    """`wallet-hooks` on the database of `world`."""
    return Shell(world.settings.database_url)


@pytest.fixture
def unlisted(world: World) -> World:
    """Bets in BTC were taken (see `list_bitcoin`), then BTC was removed and the application restarted."""
    list_bitcoin(world)
    unlist_bitcoin(world)
    return world
