"""What the tests of finance begin with."""

import pytest

from tests.finance.history import live_through
from tests.world import World


@pytest.fixture
def history(empty_world: World) -> World:
    live_through(empty_world)
    return empty_world
