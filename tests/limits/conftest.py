"""A player at the limits gateway, for the tests of this package."""

import pytest

from tests.limits.player import Player
from tests.world import World


@pytest.fixture
def player(world: World) -> Player:
    return Player(world)
