"""A player at the limits gateway, for the tests of this package."""

import pytest

from tests.limits.player import GatewayPlayer
from tests.world import World


@pytest.fixture
def player(world: World) -> GatewayPlayer:
    return GatewayPlayer(world)
