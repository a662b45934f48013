"""Fixtures of the console's tests."""

import pytest

from tests.world import World, bet, result


@pytest.fixture
def settled(world: World) -> World:
    """A world with bet 9, settled with 25.00, so that the balance is 115.00."""
    world.place(bet())
    world.settle(result())
    return world
