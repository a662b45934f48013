"""What the tests of the ledger begin with."""

import pytest

from tests.ledger.bitcoin import list_bitcoin, unlist_bitcoin
from tests.test_commands import Shell
from tests.world import World


@pytest.fixture
def shell(world: World) -> Shell:
    """`wallet-hooks` on the test's world."""
    return Shell(world.settings.database_url)


@pytest.fixture
def unlisted(world: World) -> World:
    """Bets in BTC were taken (see `list_bitcoin`), and the process started anew without it."""
    list_bitcoin(world)
    unlist_bitcoin(world)
    return world
