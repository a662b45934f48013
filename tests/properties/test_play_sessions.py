"""A time limit holds for every order of logins, logouts, calls, bets and pauses."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.limits.back_office import set_operator_limit
from tests.limits.player import GatewayPlayer
from tests.world import World, bet

LIMIT, GAP = 30, 60  # minutes
# The last call is recorded to the minute, so no step is shorter.
events = st.lists(
    st.tuples(
        st.sampled_from(["log in", "log out", "call", "bet", "bet"]), st.sampled_from([1, 7, 29, 30, 59, 60, 61])
    ),
    min_size=5,
    max_size=25,
)


class Model:
    """A model of the play session: when it began and was last used, in minutes from the start of the example."""

    def __init__(self) -> None:
        self.began: int | None = None
        self.used: int | None = None
        self.has_login = False

    def is_gap(self, now: int) -> bool:
        return self.used is None or now - self.used >= GAP

    def log_in(self, now: int) -> None:
        if self.began is None or self.is_gap(now):
            self.began = now
        self.used, self.has_login = now, True

    def bet(self, now: int) -> bool:
        """Return whether the bet is accepted."""
        began = self.began
        if began is None or (not self.has_login and self.is_gap(now)):
            began = now
        is_accepted = now - began < LIMIT
        if is_accepted:
            self.began, self.used = began, now
        return is_accepted


_uids: Iterator[int] = iter(range(100, 10_000))


@pytest.mark.parametrize("has_login", [True, False])
def test_bets_are_accepted_until_the_time_limit(world: World, has_login: bool) -> None:
    @settings(max_examples=15)
    @given(events)
    def play(steps: list[tuple[str, int]]) -> None:
        uid, model, now, player = str(next(_uids)), Model(), 0, None
        with freeze_time(datetime(2026, 5, 1, tzinfo=UTC)) as moment:
            world.customer(uid)
            set_operator_limit(world, "time_limit", "session", LIMIT, uid=uid)
            if has_login:
                player = GatewayPlayer(world, uid)
                model.log_in(now)
            for number, (event, minutes) in enumerate(steps):
                moment.tick(timedelta(minutes=minutes))
                now += minutes
                if event == "log in":
                    player = GatewayPlayer(world, uid)
                    model.log_in(now)
                elif event == "bet":
                    reply = world.place(bet(f"{uid}-{number}", "0.10", user=int(uid)))
                    assert (reply.status == 200) == model.bet(now), (number, reply)
                elif player is not None:
                    model.used = now
                    if event == "call":
                        assert player.get()["session"]["elapsed_minutes"] == now - (model.began or 0)
                    else:
                        world.client.delete(f"/v1/sessions/{player.token}/")
                        player = None

    play()
