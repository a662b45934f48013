"""Fixtures of the finance tests."""

import pytest
from freezegun import freeze_time

from tests.finance.history import post_three_days
from tests.world import World, bet, refund, result


@pytest.fixture
def history(empty_world: World) -> World:
    post_three_days(empty_world)
    return empty_world


@pytest.fixture
def day(world: World) -> World:
    """Six bets of one day in all states, a refused one, and one of the next day."""
    with freeze_time("2026-11-20T12:00:00Z") as moment:
        for uid in (1, 2, 3, 4, 5):
            world.place(bet(uid))
        world.place(bet("refused", "1000.00"))
        world.settle(result(1), result(2, "0", outcome="lost"), result(3, "10.00", outcome="void"))
        world.cancel(refund(4))
        moment.move_to("2026-11-20T23:59:00Z")
        world.place(bet(6, "1.50"))
        moment.move_to("2026-11-21T00:01:00Z")
        world.place(bet(7, "1.00"))
    return world
