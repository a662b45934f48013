"""Fixtures of the finance tests."""

import pytest

from tests.finance.history import post_three_days
from tests.world import World


@pytest.fixture
def history(empty_world: World) -> World:
    post_three_days(empty_world)
    return empty_world
